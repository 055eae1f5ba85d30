"""The cache of compiled functions follows every file that they are made of."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mg_models
from mg_models.kernel_cache import cached_njit

CONSTANTS = "FACTOR = 2.0\n"
INNER = """
from numba import njit
from constants import FACTOR

@njit(inline="always")
def scaled(x, by=1.0):
    return FACTOR * x * by
"""
OUTER = """
import constants, inner
from inner import scaled
from mg_models.kernel_cache import cached_njit

@cached_njit(__file__, inner.__file__, constants.__file__)(nogil=True, error_model="numpy")
def total(values, by=1.0):
    result = 0.0
    for x in values:
        result += scaled(x, by)
    return result

if __name__ == "__main__":
    import numpy as np
    result = total(np.arange(4.0))
    print(result, sum(total.stats.cache_hits.values()))
"""


def run(folder: Path, **environment: str) -> tuple[float, int]:
    path = os.pathsep.join([str(folder), str(Path(mg_models.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": path} | environment
    done = subprocess.run([sys.executable, str(folder / "outer.py")], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    result, hits = done.stdout.split()
    return float(result), int(hits)


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_edited_source_is_compiled_again(tmp_path, elsewhere):
    """A constant of another file is edited; numba alone would load the old machine code."""
    for name, text in (("constants", CONSTANTS), ("inner", INNER), ("outer", OUTER)):
        (tmp_path / f"{name}.py").write_text(text)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")} if elsewhere else {}
    assert run(tmp_path, **environment) == (12.0, 0)
    assert run(tmp_path, **environment) == (12.0, 1)
    (tmp_path / "constants.py").write_text("FACTOR = 5.0\n")
    assert run(tmp_path, **environment) == (30.0, 0)
    assert run(tmp_path, **environment) == (30.0, 1)


def test_a_folder_stands_for_the_sources_in_it(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.py").write_text("A = 1\n")

    def version() -> int:
        from mg_models import kernel_cache

        kernel_cache._checksum.cache_clear()
        function = cached_njit(tmp_path)()(lambda x: x).py_func
        return function.__closure__[0].cell_contents

    first = version()
    assert version() == first
    (tmp_path / "inner" / "a.py").write_text("A = 2\n")
    assert version() != first


def test_the_function_is_otherwise_as_it_was():
    def scaled(x, by=2.0):
        """Of x."""
        return x * by

    made = cached_njit(__file__)()(scaled).py_func
    assert (made(3.0), made.__doc__, made.__qualname__) == (6.0, "Of x.", scaled.__qualname__)


def test_cached_kernels_name_every_file_they_are_made_of():
    """Of each file that makes a decorator, the files of this package that it imports are among its sources."""
    for path in Path(mg_models.__file__).parent.rglob("*.py"):
        text = path.read_text()
        named = re.search(r"^kernel = cached_njit\((.*)\)$", text, re.M)
        if named is None:
            assert "cached_njit(" not in text or path.name == "kernel_cache.py", path
            continue
        imported = set(re.findall(r"^from (mg_models[\w.]*) import (?!\w+_kernels$|simd$)", text, re.M))
        modules = {m.rpartition(".")[2] for m in imported} - {"kernel_cache"}
        assert set(re.findall(r"(\w+)\.__file__", named[1])) == modules, path
        assert re.match(r"__file__\b", named[1]), path
