"""Qlib datasets in each convention: prices, volumes, membership, listing."""

import datetime as dt
import pickle

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import SourceError
from mg_assets.market.rules import round_to_tick
from mg_assets.sources import build_source
from mg_assets.sources.daily.qlib import QlibSource

DAY = dt.date(2020, 1, 2)


def write_qlib(root, raw_prices, raw_volume, gap=False):
    """Two stocks of 300 days; adjusted or raw; a gap of NaN is a suspension."""
    dates = pd.bdate_range("2020-01-01", periods=300)
    (root / "calendars").mkdir(parents=True)
    (root / "instruments").mkdir()
    (root / "calendars" / "day.txt").write_text("\n".join(d.strftime("%Y-%m-%d") for d in dates))
    (root / "instruments" / "all.txt").write_text(
        "SH600000\t1999-11-10\t2099-12-31\nSZ000001\t2020-02-03\t2099-12-31\n"
    )
    (root / "instruments" / "csi300.txt").write_text("SH600000\t2020-03-02\t2020-03-31\n")
    rng, truth = np.random.default_rng(5), {}
    for name, start in (("sh600000", 0), ("sz000001", 23)):
        folder = root / "features" / name
        folder.mkdir(parents=True)
        count = 300 - start
        factor = np.where(np.arange(count) < 150, 1.5, 3.137)
        close = np.round((12 + np.cumsum(rng.normal(0, 0.1, count))) * 1.5 / factor, 2)
        raw = {"open": close - 0.01, "high": close + 0.05, "low": close - 0.05, "close": close}
        volume = rng.integers(1000, 4_000_000, count).astype(float)
        stored = {k: v if raw_prices else v * factor for k, v in raw.items()}
        stored |= {"volume": volume if raw_volume else volume / factor, "factor": factor}
        for field_name, values in stored.items():
            kept = values.copy()
            if gap and name == "sh600000":
                kept[40:43] = np.nan
            np.append(start, kept).astype("<f4").tofile(folder / f"{field_name}.day.bin")
        truth[f"{name[2:]}.{name[:2].upper()}"] = (dates[start:], np.round(close, 2), volume, factor)
    return truth


@pytest.mark.parametrize(("raw_prices", "raw_volume"), [(False, False), (True, True), (False, True)])
def test_qlib_conventions(tmp_path, raw_prices, raw_volume):
    truth = write_qlib(tmp_path, raw_prices, raw_volume)
    source = QlibSource(tmp_path, raw_prices=raw_prices, raw_volume=raw_volume)
    assert len(source.days()) == 300
    assert len(pickle.loads(pickle.dumps(source)).days()) == 300
    for symbol, (dates, close, volume, factor) in truth.items():
        for at in (0, 100, 149, 150, 250):
            row = source.load("daily_bars", dates[at].date()).frame.set_index("symbol").loc[symbol]
            assert row.close == close[at]
            assert abs(row.volume - volume[at]) <= 1
            assert row.adj_factor == pytest.approx(factor[at])
            if at == 150:
                assert row.prev_close == round_to_tick(np.array([close[149] * 1.5 / 3.137]))[0]
    wrong = QlibSource(tmp_path, raw_prices=not raw_prices, raw_volume=raw_volume)
    with pytest.raises(Exception, match=f"set raw_prices={raw_prices}"):
        wrong.days()
    wrong = QlibSource(tmp_path, raw_prices=raw_prices, raw_volume=not raw_volume)
    with pytest.raises(Exception, match=f"set raw_volume={raw_volume}"):
        wrong.days()


def test_qlib_membership_listing_and_suspension(tmp_path):
    truth = write_qlib(tmp_path, False, False, gap=True)
    source = build_source("qlib", {"root": tmp_path})
    dates, close, _, _ = truth["600000.SH"]
    halted = source.load("daily_bars", dates[41].date()).frame.set_index("symbol").loc["600000.SH"]
    assert halted.suspended
    assert (halted.close, halted.volume) == (close[39], 0)
    assert source.load("daily_bars", dates[43].date()).frame.set_index("symbol").prev_close["600000.SH"] == close[39]
    march = source.load("reference", dt.date(2020, 3, 10)).frame.set_index("symbol")
    assert march.csi300_member.to_dict() == {"000001.SZ": False, "600000.SH": True}
    assert march.list_date["600000.SH"] == pd.Timestamp("1999-11-10")
    loaded = source.load("reference", dates[0].date())
    assert loaded.frame.symbol.tolist() == ["600000.SH"]
    assert "csi500_member" in loaded.notes["absent_columns"]
    with pytest.raises(SourceError, match="has no trades on"):
        source.load("trades", DAY)


def test_qlib_real_stock_has_adjusted_prices_and_raw_volumes(shared_data, tmp_path):
    heads = shared_data / "vendor_csv_heads" / "qlib_bin"
    for folder in ("calendars", "instruments", "features"):
        (tmp_path / folder).mkdir()
    (tmp_path / "calendars" / "day.txt").symlink_to(heads / "day.txt")
    (tmp_path / "instruments" / "csi300.txt").symlink_to(heads / "csi300_head.txt")
    (tmp_path / "features" / "SH600519").symlink_to(heads / "SH600519")
    with pytest.raises(Exception, match="set raw_volume=True"):
        QlibSource(tmp_path).days()
    source = QlibSource(tmp_path, raw_volume=True)
    path = shared_data / "daily_csi800_ever_2013_2023" / "daily.parquet"
    panel = pd.read_parquet(path, filters=[("symbol", "=", "SH600519")]).set_index("date")
    for day in panel.index[::97]:
        bar = source.load("daily_bars", day.date()).frame.iloc[0]
        expected = panel.loc[day]
        assert [round(bar[n] * 1000) for n in ("open", "high", "low", "close")] == [
            expected[f"{n}_milli"] for n in ("open", "high", "low", "close")
        ]
        assert bar.volume == expected.volume
