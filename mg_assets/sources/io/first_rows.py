"""The first rows of a file as text: what a file is, and in which units, is seen there before it is read."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from mg_assets.sources.io.archives import read_head
from mg_assets.sources.io.delimited import detect_format
from mg_assets.sources.io.read_file import open_parquet, source_errors

SAMPLE_ROWS = 200
HUNDRED_KB = 100_000


def first_rows(path: Path, header: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Read the first rows of a text or Parquet file, packed or plain.

    Parameters
    ----------
    path : Path
    header : sequence of str
        Names of the columns, of a kind of file that has no header line.

    Returns
    -------
    names : list of str
    rows : list of list of str
        At most ``SAMPLE_ROWS``; a null is an empty text.

    Raises
    ------
    MgError
        As :func:`~mg_assets.sources.io.read_file.read_columns`.
    """
    with source_errors(path):
        if path.suffix.lower() in (".parquet", ".pq"):
            return _of_parquet(path)
        head = read_head(path, HUNDRED_KB)
        form = detect_format(path, lambda: io.BytesIO(head), header)
    lines = head.decode("utf-8" if form.encoding == "utf8" else form.encoding, errors="replace").splitlines()
    whole = lines[1:-1] if len(lines) > 2 else lines[1:]
    return form.header, list(csv.reader(whole[:SAMPLE_ROWS], delimiter=form.delimiter, quoting=csv.QUOTE_NONE))


def _of_parquet(path: Path) -> tuple[list[str], list[list[str]]]:
    with open_parquet(path) as file:
        names = file.schema_arrow.names
        batch: Any = next(file.iter_batches(batch_size=SAMPLE_ROWS), None)
        if batch is None:
            return names, []
        columns = [["" if v is None else str(v) for v in pa.array(c).to_pylist()] for c in batch.columns]
    return names, [list(r) for r in zip(*columns, strict=True)]
