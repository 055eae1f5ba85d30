"""Files made to fill the memory are refused in one line, before they have."""

import gzip
import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mg_assets.errors import DataError, MgError, SourceError
from mg_assets.ingest.discover import discover_files
from mg_assets.sources.io import archives
from mg_assets.sources.io.archives import BoundedStream, unpack_limit
from mg_assets.sources.io.columns import WantedColumn
from mg_assets.sources.io.read_file import read_blocks, read_columns
from mg_assets.sources.presets import read_preset

WANTED = {"code": WantedColumn(("code",), "text"), "close": WantedColumn(("close",), "float")}
LINE = 26 << 20


class Watched(BoundedStream):
    """Remembers how much of every stream was unpacked."""

    seen = 0

    def read(self, size=-1):
        data = super().read(size)
        Watched.seen += len(data)
        return data


@pytest.fixture
def watched(monkeypatch):
    Watched.seen = 0
    monkeypatch.setattr(archives, "BoundedStream", Watched)
    return Watched


def gz(path, content):
    path.write_bytes(gzip.compress(content, 1))


def zipped(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        out.writestr("a.csv", content)


@pytest.mark.parametrize(("name", "write"), [("a.csv.gz", gz), ("a.zip", zipped)])
def test_a_line_without_end_stops_after_its_first_megabytes(tmp_path, watched, name, write):
    write(tmp_path / name, b"code,close\n600000.SH," + b"1" * LINE)
    with pytest.raises(
        SourceError, match=rf"{name} has a line of more than [\d,]+ bytes; it is damaged: fetch it again"
    ):
        list(read_blocks(tmp_path / name, WANTED))
    assert watched.seen < LINE * 2 / 3
    with pytest.raises(MgError, match=rf"{name} .*; it is damaged: fetch it again"):  # one block, of at most 128 MiB
        read_columns(tmp_path / name, WANTED)


def test_a_first_line_without_end_is_no_header(tmp_path, watched):
    gz(tmp_path / "a.csv.gz", b"1" * LINE)
    with pytest.raises(DataError, match="the first line has more than 65,536 bytes; is it a table of text"):
        read_columns(tmp_path / "a.csv.gz", WANTED)
    assert watched.seen < 1 << 20


def test_gigabytes_of_rows_are_refused_at_the_limit(tmp_path, monkeypatch, watched):
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"code,close\n" + b"600000.SH,1.00\n" * (1 << 19), 6))
    limit = unpack_limit(path.stat().st_size, 1 << 20)
    with pytest.raises(SourceError, match=r"a.csv.gz unpacks to more than [\d,]+ bytes .*: an archive bomb\?"):
        list(read_blocks(path, WANTED))
    assert watched.seen <= limit + (8 << 20)


def test_an_archive_in_archives_is_not_opened(tmp_path):
    inner = b"code,close\n600000.SH,1\n"
    for depth in range(20):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{depth}.zip" if depth else "a.csv", inner)
        inner = out.getvalue()
    (tmp_path / "a.zip").write_bytes(inner)
    with pytest.raises(SourceError, match=r"a.zip holds '19.zip'; a CSV or text table was expected: unpack it"):
        read_columns(tmp_path / "a.zip", WANTED)


def parquet(path, rows=1, **columns):
    table = {"code": pa.array(["600000.SH"] * rows), "close": pa.array(np.ones(rows)), **columns}
    pq.write_table(pa.table(table), path, compression="zstd")


def test_a_parquet_cell_of_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    parquet(tmp_path / "a.parquet", note=pa.array(["x" * (2 << 20)]))
    for read in (lambda p: read_columns(p, WANTED), lambda p: next(read_blocks(p, WANTED))):
        with pytest.raises(SourceError, match=r"a.parquet has [\d,]+ bytes and would take .* in memory, .* fewer rows"):
            read(tmp_path / "a.parquet")


def test_parquet_rows_that_cost_no_bytes_are_counted(tmp_path, monkeypatch):
    parquet(tmp_path / "a.parquet", rows=1 << 20)
    assert len(read_columns(tmp_path / "a.parquet", WANTED).table) == 1 << 20
    monkeypatch.setattr(archives, "FREE_VALUE_BYTES", 8 << 20)
    for read in (lambda p: read_columns(p, WANTED), lambda p: next(read_blocks(p, WANTED))):
        with pytest.raises(SourceError, match=r"a.parquet has [\d,]+ bytes and would take 16,777,216 in memory"):
            read(tmp_path / "a.parquet")


def test_a_footer_that_claims_gigabytes_is_one_error(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100) + (0x7FFFFFFF).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(SourceError, match=r"a.parquet is no whole Parquet file"):
        read_columns(tmp_path / "a.parquet", WANTED)


def test_columns_without_number_are_refused(tmp_path, monkeypatch):
    names = ["code", "close", *(f"c{i}" for i in range(100_000))]
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    monkeypatch.setattr(archives, "MOST_COLUMNS", 100)
    parquet(tmp_path / "b.parquet", **{f"c{i}": pa.array([1]) for i in range(100)})
    report, found = discover_files(tmp_path)
    assert found == []
    errors = {path.name: entry.error for path, entry in report.files.items()}
    assert "a.csv: the first line has more than 65,536 bytes; is it a table of text?" in errors["a.csv"]
    assert "b.parquet has 102 columns, at most 100 are read: write those that matter" in errors["b.parquet"]


def test_the_aliases_of_a_mapping_are_counted(tmp_path):
    lines = ["daily: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)]
    (tmp_path / "mine.yaml").write_text("\n".join(lines))
    with pytest.raises(SourceError, match=r"mine.yaml stands for more than 20,000 values"):
        read_preset(tmp_path / "mine.yaml")
