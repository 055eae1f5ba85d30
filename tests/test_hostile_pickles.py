"""A pickle runs code when it is opened: no file of a user's, a vendor's or a lake's is opened as one."""

import ast
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch

from mg_assets.errors import MgError
from mg_assets.ingest.discover import discover_files
from mg_assets.lake.store import Lake
from mg_assets.modelling.score_tables import scores_of
from mg_assets.settings.catalogs import TableSignal
from mg_assets.sources.daily.ricequant import RiceQuantSource
from mg_assets.sources.io.columns import WantedColumn
from mg_assets.sources.io.read_file import read_columns

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ("mg_assets", "mg_models", "mg_portfolio", "mg_axes")
UNSAFE = {
    "pickle.load", "pickle.loads", "pd.read_pickle", "torch.load", "joblib.load", "marshal.loads",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec", "os.system", "shelve.open",
}  # fmt: skip
OWN_PICKLES = {
    "mg_models/worker_pool.py": "between a process and those that it started, through their pipe",
    "mg_assets/testing/sources.py": "a copy that the line before made of an object in memory",
    "mg_assets/sources/daily/ricequant.py": "refuses every class and function",
}


class Payload:
    """Touches a file where it is opened."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def hostile(tmp_path):
    """The bytes of a pickle; the test fails where they were opened as one."""
    mark = tmp_path / "mark"
    content = pickle.dumps(Payload(mark))
    pickle.loads(content)
    assert mark.exists()  # it bites
    mark.unlink()
    yield content
    assert not mark.exists()


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_table_of_scores_is_no_pickle(tmp_path, hostile, name):
    (tmp_path / name).write_bytes(hostile)
    with pytest.raises(MgError, match=name):
        scores_of(TableSignal("mine", str(tmp_path / name)))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip", "a.7z", "a.parquet", "a.db", "a.day"])
def test_a_file_of_a_vendor_is_no_pickle(tmp_path, hostile, name):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_bytes(hostile)
    report, found = discover_files(tmp_path / "files")
    assert found == []
    assert [entry.skipped or bool(entry.error) for entry in report.files.values()] == [True]
    if not name.endswith((".db", ".day")):
        with pytest.raises(MgError, match=name):
            read_columns(tmp_path / "files" / name, {"code": WantedColumn(("code",), "text")})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_instruments_of_a_bundle_name_no_code(tmp_path, hostile, protocol):
    plain = [{"order_book_id": "600000.XSHG", "symbol": "Bank"}]
    path = tmp_path / "instruments.pk"
    path.write_bytes(pickle.dumps(plain, protocol))
    assert RiceQuantSource(tmp_path).stock_names() == {"600000.SH": "Bank"}
    for content in (hostile, pickle.dumps([{**plain[0], "listed_date": Payload(tmp_path / "mark")}], protocol)):
        path.write_bytes(content)
        assert RiceQuantSource(tmp_path).stock_names() == {}


def test_weights_of_a_model_are_no_pickle(hostile):
    with pytest.raises(safetensors.SafetensorError):
        safetensors.torch.load(hostile)


def test_a_partition_and_its_index_are_no_pickle(tmp_path, hostile):
    lake = Lake(tmp_path / "lake")
    path = Path(lake.write("signal", "2023-01-03", pd.DataFrame({"symbol": ["600000.SH"], "score": [1.0]})))
    assert lake.keys("signal") == ["2023-01-03"]
    for file in (path, path.parents[1] / "_index.json", path.parent / "check.json"):
        file.write_bytes(hostile)
    assert list(Lake(lake.root).info("signal")) == ["2023-01-03"]
    with pytest.raises(MgError, match=r"damaged|no Parquet"):
        Lake(lake.root).day("signal", "2023-01-03")


def test_an_array_of_a_worker_is_no_pickle(tmp_path, hostile):
    np.save(tmp_path / "a.npy", np.array([Payload(tmp_path / "mark")], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"allow_pickle=False|can't be memory-mapped"):
        np.load(tmp_path / "a.npy", mmap_mode="r")


def opened(path: Path) -> list[str]:
    """Calls of a file that open pickles, run text, or let numpy do so."""
    found: list[str] = []
    text = path.read_text(encoding="utf-8")
    if not any(name.rpartition(".")[2] + "(" in text for name in UNSAFE) and "allow_pickle" not in text:
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            found += [f"class {node.name}" for base in node.bases if ast.unparse(base) == "pickle.Unpickler"]
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in UNSAFE or any(k.arg in ("allow_pickle", "weights_only") for k in node.keywords):
            found.append(name)
    return found


def test_no_other_file_of_the_packages_opens_a_pickle():
    files = [path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py")]
    assert len(files) > 300
    found = {path.relative_to(CHECKOUT).as_posix(): calls for path in files if (calls := opened(path))}
    assert set(found) == set(OWN_PICKLES), found
    assert found["mg_assets/sources/daily/ricequant.py"] == ["class _PlainUnpickler"]
