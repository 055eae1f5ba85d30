"""Real level-2 days obey the rules: order numbers, aggressors, lots and clocks are the exchanges' own."""

import datetime as dt

import pytest

from mg_assets import factors
from mg_assets.quality import run_suite
from mg_assets.store import Lake


@pytest.mark.parametrize("day", ["2023-02-01", "2023-02-07"])
def test_a_real_day_passes(shared_data, tmp_path, day):
    from mg_assets.sources.tonglian import TonglianSource

    source = TonglianSource(shared_data, files="level2_by_stock")
    lake = Lake(tmp_path)
    for table in ("trades", "orders"):
        lake.write(table, day, source.load(table, dt.date.fromisoformat(day)).frame)
    lake.write("minute_bars", day, factors.bars_from_trades(lake.day("trades", day)))
    for table in ("trades", "orders", "minute_bars"):
        assert [(o.name, o.bad) for o in run_suite(table, lake, [day]) if not o.passed] == []
