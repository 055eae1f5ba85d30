"""One day of the daily layer as frames of the lake's tables."""

import datetime as dt

import numpy as np
import pandas as pd

from mg_assets.market.schema import INDICES
from mg_assets.sources.simulated.daily_layer import DailyMarket


def reference_frame(market: DailyMarket, date: dt.date | str) -> pd.DataFrame:
    """The ``reference`` table of one day as of its close, one row per listed stock.

    Returns
    -------
    DataFrame
        Index weights are those at the close; a delisting date appears from the day it is announced.
    """
    d, at = _listed(market, date)
    closes_out = np.where(market.announced[at] <= d, market.delist_date[at], np.datetime64("NaT"))
    data: dict[str, object] = {
        "symbol": market.symbols[at],
        "list_date": _dates(market.list_date[at]),
        "delist_date": _dates(closes_out),
        "industry": market.industry[at],
        "prev_close": market.ticks("prev_close")[d, at] / 100.0,
        "adj_factor": market.adj_factor[d, at],
        "up_limit": market.ticks("up_limit")[d, at] / 100.0,
        "down_limit": market.ticks("down_limit")[d, at] / 100.0,
        "suspended": market.suspended[d, at],
        "st": market.st[d, at],
        "float_shares": market.float_shares[d, at],
    }
    code = market.index_code[d, at]
    cap = market.ticks("close")[d, at] * market.float_shares[d, at]
    for k, index in enumerate(INDICES, start=1):
        data[f"{index}_member"] = code == k
    for k, index in enumerate(INDICES, start=1):
        inside = np.where(code == k, cap, 0.0)
        data[f"{index}_weight"] = inside / inside.sum()
    for name, figure in market.fundamentals.items():
        data[name] = figure[d, at].astype(np.float64)
    data["total_shares"] = market.total_shares[d, at]
    return pd.DataFrame(data)


def daily_bars_frame(market: DailyMarket, date: dt.date | str) -> pd.DataFrame:
    """The ``daily_bars`` table of one day: raw prices; a suspended stock has volume 0 and vwap NaN."""
    d, at = _listed(market, date)
    yuan = {name: market.ticks(name)[d, at] / 100.0 for name in market.prices}
    suspended = market.suspended[d, at]
    volume = market.volume[d, at]
    return pd.DataFrame(
        {
            "symbol": market.symbols[at],
            "open": yuan["open"],
            "high": yuan["high"],
            "low": yuan["low"],
            "close": yuan["close"],
            "vwap": np.where(suspended, np.nan, yuan["vwap"]),
            "volume": volume,
            "amount": market.ticks("vwap")[d, at].astype(np.int64) * volume / 100.0,
            "num_trades": market.num_trades[d, at].astype(np.int64),
            "prev_close": yuan["prev_close"],
            "adj_factor": market.adj_factor[d, at],
            "up_limit": yuan["up_limit"],
            "down_limit": yuan["down_limit"],
            "suspended": suspended,
            "st": market.st[d, at],
            "float_shares": market.float_shares[d, at],
        }
    )


def planted_signal_frame(market: DailyMarket, date: dt.date | str) -> pd.DataFrame:
    """The ``planted_signal`` table of one day: the latent z-score as of its close."""
    d, at = _listed(market, date)
    return pd.DataFrame({"symbol": market.symbols[at], "signal": market.signal[d, at].astype(np.float64)})


def _listed(market: DailyMarket, date: dt.date | str) -> tuple[int, np.ndarray]:
    d = market.row(date)
    return d, np.flatnonzero(market.listed[d])


def _dates(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[s]")  # pandas has no datetime64[D]; Arrow casts these to date32
