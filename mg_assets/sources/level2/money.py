"""Whether the amounts beside trades are price x volume: a unit that is not the documented one shows there at once."""

from pathlib import Path

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.sources.io.columns import WantedColumn
from mg_assets.sources.io.first_rows import first_rows
from mg_assets.sources.level2.stream_formats import StreamFormat

MONEY = WantedColumn(("TradeMoney", "TradMoney", "TradeAmount", "Amount"), "float", required=False)
WHOLE = 0.005  # of a decimal power: amounts are rounded to 0.001 yuan at most
FEWEST = 3  # trades with an amount


def check_money(path: Path, stream: StreamFormat, price_unit: float) -> bool:
    """Compare the first trades of a file with their amounts, where it has these.

    Parameters
    ----------
    path : Path
    stream : StreamFormat
    price_unit : float
        Yuan per unit of the file's prices.

    Returns
    -------
    bool
        Whether the amounts are prices times volumes; False where the file has too few to say.

    Raises
    ------
    DataError
        Prices times volumes are a power of ten of the amounts: one of the three is in another unit.
    """
    header, rows = first_rows(path, stream.header)
    here = {name.strip().casefold(): i for i, name in reversed(list(enumerate(header)))}
    wanted = (stream.columns["price"], stream.columns["volume"], MONEY)
    at = [next((here[n.casefold()] for n in column.names if n.casefold() in here), None) for column in wanted]
    if None in at or not rows:
        return False
    frame = pd.DataFrame([[row[i] if i is not None and i < len(row) else "" for i in at] for row in rows])
    price, volume, money = (pd.to_numeric(frame[c], errors="coerce").to_numpy(float) for c in frame)
    traded = (price > 0) & (volume > 0) & (money > 0)
    if traded.sum() < FEWEST:
        return False
    off = np.log10(price[traded] * price_unit * volume[traded] / money[traded])
    power = int(np.rint(np.median(off)))
    if power == 0 or np.median(np.abs(off - power)) > WHOLE:
        return bool(np.median(np.abs(off)) <= WHOLE)
    names = [header[i] for i in at if i is not None]
    unit = f"{price_unit / 10.0**power:g}"
    raise DataError(
        f"{path}: {names[0]!r} x {names[1]!r} is {10.0**power:g} times {names[2]!r}: one of them is in another unit "
        f"than yuan and shares; if it is the price, set the option price_unit, {unit} (mg ingest --price-unit {unit})"
    )
