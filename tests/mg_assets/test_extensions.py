"""Modules of a user, and what stands at their top level."""

import sys
from dataclasses import dataclass

import pytest

from mg_assets.errors import SettingsError
from mg_assets.extensions import code_digest, defined, load_modules
from mg_assets.settings import load_settings


@dataclass(frozen=True)
class Thing:
    name: str


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch):
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_file_and_dotted_module_are_loaded_once(tmp_path):
    write(tmp_path, "own_things.py", "LOADED = []\n")
    write(tmp_path, "own_project/__init__.py", "")
    write(tmp_path, "own_project/parts.py", "X = 1\n")
    names = ("./own_things.py", "own_project.parts")
    one, two = load_modules(names, tmp_path)
    assert (one.__name__, two.__name__) == ("own_things", "own_project.parts")
    assert load_modules(names, tmp_path) == (one, two)
    assert load_modules([str(tmp_path / "own_things.py")], tmp_path / "elsewhere") == (one,)


def test_spawned_process_imports_a_file_by_its_stem(tmp_path):
    import multiprocessing

    write(tmp_path, "own_worker.py", "def double(x):\n    return 2 * x\n")
    (module,) = load_modules(["own_worker.py"], tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(module.double, (21,)) == 42
        pool.close()  # a process that ignores SIGTERM would outlive the end of the block
        pool.join()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = lacking\n", r"own_bad\.py, line 2: NameError: name 'lacking' is not defined"),
        ("x = (\n", r"own_bad\.py, line 1: SyntaxError: '\(' was never closed"),
        ("import no_such_module_of_ours\n", r"own_bad\.py, line 1: ModuleNotFoundError: No module named 'no_such"),
        ("raise ValueError('two\\nlines')\n", r"own_bad\.py, line 1: ValueError: two lines"),
        ("import sys\nsys.exit(3)\n", r"own_bad\.py, line 2: SystemExit: 3"),
    ],
)
def test_error_in_a_module_is_one_line_with_its_place(tmp_path, text, message):
    write(tmp_path, "own_bad.py", text)
    with pytest.raises(SettingsError, match=message) as error:
        load_modules(["own_bad.py"], tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.py", r"extension absent\.py: there is no file .*absent\.py"),
        ("json.py", r"extension json\.py: it would hide the module json of .*json"),
        ("my-models.py", r"a Python file was expected whose name is an identifier"),
        ("no_such_module_of_ours.parts", r"cannot be imported: ModuleNotFoundError: No module named 'no_such"),
        ("not a module", r"extension not a module: a module as my_project\.factors, or a file"),
    ],
)
def test_names_that_cannot_be_loaded_are_named(tmp_path, name, message):
    if "absent" not in name and name.endswith(".py"):
        write(tmp_path, name, "")
    with pytest.raises(SettingsError, match=message):
        load_modules([name], tmp_path)


def test_every_wrong_name_has_a_line(tmp_path):
    with pytest.raises(SettingsError) as error:
        load_modules(["absent.py", "other.py"], tmp_path)
    assert len(str(error.value).splitlines()) == 2


def test_defined_collects_in_order_and_one_object_once(tmp_path):
    shared = Thing("shared")
    one, two = type(sys)("one"), type(sys)("two")
    one.first, one.several, one.text = shared, (Thing("b"), "text"), "text"
    two.again, two.by_name = shared, {"c": Thing("c")}
    assert list(defined([one, two], Thing)) == ["shared", "b", "c"]
    two.other = Thing("b")
    with pytest.raises(SettingsError, match=r"Thing 'b' is defined twice: in .* and .*; rename one"):
        defined([one, two], Thing)


def test_settings_import_files_beside_them(tmp_path):
    write(tmp_path, "own_beside.py", "X = 1\n")
    write(tmp_path, "own_broken.py", "x =\n")
    write(tmp_path, "s.yaml", "extensions: [./own_beside.py]\n")
    found = load_settings(str(tmp_path / "s.yaml"))
    assert found.extensions == (str(tmp_path / "own_beside.py"),)
    assert [m.X for m in found.modules] == [1]
    write(tmp_path, "s.yaml", "extensions: [own_beside.py, own_broken.py]\n")
    with pytest.raises(
        SettingsError, match=r"s\.yaml: extensions\[1\] was 'own_broken\.py'; it cannot be imported: .*"
    ):
        load_settings(str(tmp_path / "s.yaml"))


def test_digest_of_code_covers_what_it_imports_beside_it(tmp_path):
    write(tmp_path, "own_constants.py", "LIMIT = 1\n")
    write(tmp_path, "own_unused.py", "X = 1\n")
    write(
        tmp_path,
        "own_code.py",
        "import json\nfrom own_constants import LIMIT\nfrom mg_assets.errors import DataError\n\n\n"
        "def f():\n    return LIMIT\n",
    )
    (module,) = load_modules(["own_code.py"], tmp_path)
    first = code_digest(module.f)
    write(tmp_path, "own_unused.py", "X = 2\n")
    assert code_digest(module.f) == first
    write(tmp_path, "own_constants.py", "LIMIT = 2\n")
    second = code_digest(module.f)
    assert second != first
    (tmp_path / "own_code.py").write_text((tmp_path / "own_code.py").read_text() + "# a comment\n")
    assert code_digest(module.f) not in (first, second)
    (tmp_path / "own_package").mkdir()
    write(tmp_path, "own_package/__init__.py", "")
    write(tmp_path, "own_package/parts.py", "Y = 1\n")
    write(tmp_path, "own_package/main.py", "from . import parts\n\n\ndef g():\n    return parts.Y\n")
    (package,) = load_modules(["own_package.main"], tmp_path)
    before = code_digest(package.g)
    write(tmp_path, "own_package/parts.py", "Y = 2\n")
    assert code_digest(package.g) != before
