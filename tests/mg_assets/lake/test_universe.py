"""The tradable universe: by the reference where there is one, else every stock."""

import numpy as np
import pandas as pd

from mg_assets.lake.store import Lake
from mg_assets.lake.universe import tradable_universe
from mg_assets.market.schema import REFERENCE

COLUMNS = ("st", "suspended", "list_date")
STOCKS = np.array(["000001.SZ", "000002.SZ", "600000.SH"], dtype=object)


def reference() -> pd.DataFrame:
    """Two of the three stocks, the second of them under special treatment."""
    frame = pd.DataFrame({c: pd.Series([None] * 2, dtype="object") for c in REFERENCE.names})
    return frame.assign(symbol=STOCKS[:2], st=[False, True], suspended=False)


def test_a_day_without_a_reference_has_every_stock(tmp_path):
    lake, days = Lake(tmp_path), ["2023-02-01", "2023-02-02"]
    lake.write("reference", days[0], reference())
    lake.write("reference", days[1], reference().iloc[:0])
    both = tradable_universe(days, lake.panel("reference", days, COLUMNS, STOCKS))
    assert both.tolist() == [[True, False, False], [True, True, True]]
    none = tradable_universe(days[1:], lake.panel("reference", days[1:], COLUMNS, STOCKS))
    assert none.all()
