"""Vendor files of a larger market: a day's level-2 files with every stock repeated under new codes.

Each row becomes ``copies`` rows that follow each other, so the files stay sorted by time over all stocks, as a vendor's
are. Files are read and written block by block: a day of 100 million rows needs little memory.
"""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

EXCHANGES = {"Transaction.csv": "SH", "mdl_4_19_0.csv": "SH", "mdl_4_24_0.csv": "SH", "mdl_6_33_0.csv": "SZ",
             "mdl_6_36_0.csv": "SZ"}  # fmt: skip
CODE, CHANNELS = "SecurityID", ("ChannelNo", "Channel", "TradeChan", "OrderChannel")
CHANNELS_OF_A_COPY = 10_000
BLOCK_BYTES = 4 << 20


def multiply(source: Path, target: Path, copies: int) -> None:
    """Write ``source``'s files into ``target`` with every stock ``copies`` times."""
    files = sorted(source.glob("*/*.csv"))
    strides: dict[str, int] = {}
    for file in files:
        codes = csv.read_csv(file, convert_options=csv.ConvertOptions(include_columns=[CODE]), **_reading(file))[CODE]
        low, high = pc.min_max(codes).as_py().values()
        exchange = EXCHANGES[file.name]
        strides[exchange] = max(strides.get(exchange, 0), high % 100_000 - low % 100_000 + 1)
    for file in files:
        folder = target / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        if copies == 1:
            shutil.copyfile(file, folder / file.name)
        else:
            _multiply(file, folder / file.name, copies, strides[EXCHANGES[file.name]])


def _reading(file: Path) -> dict:
    """Options that read a file whose rows may end in a comma that its header lacks."""
    with open(file, "rb") as lines:
        names, first = (lines.readline().rstrip(b"\r\n").decode().split(",") for _ in range(2))
    return {
        "read_options": csv.ReadOptions(
            column_names=names + [""] * (len(first) - len(names)), skip_rows=1, block_size=BLOCK_BYTES
        )
    }


def _multiply(source: Path, target: Path, copies: int, stride: int) -> None:
    options = _reading(source)
    names = options["read_options"].column_names
    channel = next(n for n in CHANNELS if n in names)
    types = {n: pa.int64() if n in (CODE, channel) else pa.string() for n in names}
    copy = np.arange(copies)
    with (
        csv.open_csv(source, convert_options=csv.ConvertOptions(column_types=types), **options) as blocks,
        open(target, "wb") as out,
    ):
        out.write((",".join(n for n in names if n) + "\n").encode())
        for block in blocks:
            table = pa.table(block).take(np.repeat(np.arange(len(block)), copies))
            for name, step in ((CODE, stride), (channel, CHANNELS_OF_A_COPY)):
                values = table[name].to_numpy() + np.tile(copy * step, len(block))
                table = table.set_column(names.index(name), name, pa.array(values))
            csv.write_csv(table, out, csv.WriteOptions(include_header=False, quoting_style="none"))
