"""Real level-2 days obey the rules: order numbers, aggressors, lots and clocks are the exchanges' own.

A vendor's real minute bars with rounded volumes obey them once their source says so, and not otherwise.
"""

import datetime as dt

import numpy as np
import pytest

from mg_assets import factors
from mg_assets.lake.store import Lake
from mg_assets.quality import run_suite


@pytest.mark.parametrize("day", ["2023-02-01", "2023-02-07"])
def test_a_real_day_passes(shared_data, tmp_path, day):
    from mg_assets.sources.level2.tonglian import TonglianSource

    source = TonglianSource(shared_data, files="level2_by_stock")
    lake = Lake(tmp_path)
    for table in ("trades", "orders"):
        lake.write(table, day, source.load(table, dt.date.fromisoformat(day)).frame)
    lake.write("minute_bars", day, factors.bars_from_trades(lake.day("trades", day)))
    for table in ("trades", "orders", "minute_bars"):
        assert [(o.name, o.bad) for o in run_suite(table, lake, [day]) if not o.passed] == []


def test_real_bars_with_volumes_in_whole_lots(shared_data, tmp_path):
    from mg_assets.sources.daily.mapping import VOLUME_STEP
    from mg_assets.sources.mapped.source import MappedSource

    (tmp_path / "600519.parquet").symlink_to(shared_data / "min1_600519_202603" / "bars.parquet")
    source, with_step, without_step = (
        MappedSource("minute_akshare", tmp_path),
        Lake(tmp_path / "a"),
        Lake(tmp_path / "b"),
    )
    days = [str(d) for d in source.days()]
    for day in days:
        loaded = source.load("minute_bars", dt.date.fromisoformat(day))
        assert loaded.notes[VOLUME_STEP] == 100
        with_step.write("minute_bars", day, loaded.frame, {VOLUME_STEP: 100})
        without_step.write("minute_bars", day, loaded.frame)
        # from the definition: the true volume lies between amount / high and amount / low, and rounds to the stated one
        bars = loaded.frame[loaded.frame["volume"] > 0]
        least, most = bars["amount"] / (bars["high"] + 0.01), bars["amount"] / (bars["low"] - 0.01)
        off = np.fmax(np.fmax(least - bars["volume"], bars["volume"] - most), 0.0)
        assert off[bars["minute"] > 0].max() <= 50
        assert off.max() <= 100
        assert (off > 1).sum() > 5
    failed = [o.name for o in run_suite("minute_bars", with_step, days) if not o.passed and o.blocking]
    assert failed == []
    (ohlc,) = [o for o in run_suite("minute_bars", without_step, days) if o.name == "ohlc"]
    assert not ohlc.passed
    assert len(ohlc.observed["bad_partitions"]) == len(days)
