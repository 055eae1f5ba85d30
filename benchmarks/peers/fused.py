"""The project's own pass over a day's files."""

import pandas as pd

from mg_assets.factors import intraday_factors

COLUMNS = {
    "trades": ["symbol", "time", "seq", "price", "volume", "buy_order", "sell_order", "side"],
    "orders": ["symbol", "time", "side", "price", "volume", "kind"],
    "minute_bars": ["symbol", "minute", "open", "high", "low", "close", "volume", "amount", "num_trades"],
}


def factors(paths: dict[str, str]) -> pd.DataFrame:
    """All 34 factors of a day's files."""
    return intraday_factors(*(pd.read_parquet(paths[t], columns=COLUMNS[t]) for t in COLUMNS)).reset_index()
