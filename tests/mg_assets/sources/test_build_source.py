"""build_source, the composite source, Qlib datasets and the exchange's rules."""

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import SourceError
from mg_assets.market.rules import board_codes, board_of, limit_percent, price_limits, round_to_tick
from mg_assets.sources import build_source
from mg_assets.sources.base import SourceDay
from mg_assets.sources.composite import CompositeSource
from mg_assets.sources.daily.qlib import QlibSource

DAY = dt.date(2020, 1, 2)


# ------------------------------------------------------------------ building


def test_build_source_builds_each_kind(tmp_path):
    assert build_source("tonglian", {"root": tmp_path}).name == "tonglian"
    assert build_source("qlib", {"root": tmp_path, "raw_prices": True}).name == "qlib"
    assert build_source("mapped", {"config": "baostock", "root": tmp_path}).name == "baostock"
    both = build_source(
        "composite",
        {"sources": [{"kind": "tonglian", "root": tmp_path}, {"kind": "simulated", "stocks": 20, "end": "2013-02-28"}]},
    )
    assert [s.name for s in both.sources] == ["tonglian", "simulated"]
    assert str(both.days()[0]) == "2013-01-04"
    assert build_source("composite", [{"kind": "tonglian", "root": tmp_path}]).sources[0].root == tmp_path


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("wind", {}, r"kind was 'wind'; one of \['composite'"),
        ("simulated", {"sead": 1}, r"options \['sead'\] are unknown; valid options: .*'seed'"),
        ("tonglian", {"root": "x", "path": "y"}, r"\['path'\] are unknown; valid options: \['check_dates', 'dialect'"),
        ("huatai", {"root": "x", "dialect": "tonglian"}, r"options \['dialect'\] are unknown"),
        ("tonglian", {}, r"options \['root'\] are lacking"),
        ("qlib", {"root": "x", "raw": True}, r"options \['raw'\] are unknown"),
        ("mapped", {"root": "x"}, r"options \['config'\] are lacking"),
        ("mapped", {"root": "x", "config": "wind"}, "neither a YAML file"),
        ("composite", {"sources": []}, "no sources"),
        ("composite", {"source": []}, r"valid options: \['sources'\]"),
        ("composite", {"sources": [{"root": "x"}]}, "a mapping with 'kind'"),
        ("tonglian", ["root"], "a mapping of names"),
        ("tonglian", {"root": "x", "dialect": "wind"}, "tick dialect was 'wind'"),
    ],
)  # fmt: skip
def test_wrong_options_list_the_valid_ones(kind, options, words):
    with pytest.raises(SourceError, match=words):
        build_source(kind, options)


# ----------------------------------------------------------------- composite


@dataclass
class Fixed:
    """A source with given frames."""

    name: str
    frames: dict[str, pd.DataFrame]
    absent: list[str] = field(default_factory=list)

    def days(self):
        return np.array([DAY], "datetime64[D]")

    def has(self, table, day):
        return table in self.frames and day == DAY

    def load(self, table, day):
        return SourceDay(self.frames[table], notes={"absent_columns": self.absent})

    def fingerprint(self, table, day):
        return f"{self.name}-{table}"


def test_composite_takes_the_first_and_fills_the_reference():
    first = Fixed(
        "a",
        {
            "reference": pd.DataFrame(
                {
                    "symbol": ["000001.SZ", "600000.SH"],
                    "pb": [1.0, np.nan],
                    "st": [False, False],
                    "industry": pd.Series([None, "x"], dtype="str"),
                }
            )
        },
        absent=["st"],
    )  # fmt: skip
    later = Fixed(
        "b",
        {
            "reference": pd.DataFrame(
                {
                    "symbol": ["600000.SH", "000001.SZ", "600001.SH"],
                    "pb": [2.0, 9.0, 3.0],
                    "st": [True, False, True],
                    "industry": ["y", "z", "w"],
                }
            ),
            "trades": pd.DataFrame({"symbol": ["b"]}),
        },
    )  # fmt: skip
    both = CompositeSource([first, later])
    loaded = both.load("reference", DAY)
    assert loaded.frame.symbol.tolist() == ["000001.SZ", "600000.SH"]
    assert loaded.frame.pb.tolist() == [1.0, 2.0]
    assert loaded.frame.st.tolist() == [False, True]
    assert loaded.frame.st.dtype == bool
    assert loaded.frame.industry.tolist() == ["z", "x"]
    assert loaded.notes["filled_from"] == {"b": ["industry", "pb", "st"]}
    assert loaded.notes["absent_columns"] == []
    assert both.load("trades", DAY).notes["source"] == "b"
    assert both.fingerprint("trades", DAY) != both.fingerprint("reference", DAY)
    assert first.frames["reference"].pb.isna().sum() == 1  # the source's own frame is left as it was
    assert not both.has("orders", DAY)
    with pytest.raises(SourceError, match=r"\['a', 'b'\] has orders"):
        both.load("orders", DAY)


def test_composite_of_real_panel_and_vendor(shared_data):
    source = build_source(
        "composite",
        {
            "sources": [
                {"kind": "mapped", "config": "csi800_ever", "root": shared_data},
                {"kind": "mapped", "config": "baostock", "root": shared_data / "daily_baostock_300_2020_2023"},
                {"kind": "tonglian", "root": shared_data, "files": "level2_by_stock"},
            ]
        },
    )
    day = dt.date(2023, 2, 1)
    assert all(source.has(t, day) for t in ("daily_bars", "reference", "trades", "orders"))
    loaded = source.load("reference", day)
    frame = loaded.frame.set_index("symbol")
    assert set(loaded.notes["filled_from"]["baostock"]) >= {"pb", "pe_ttm", "float_shares", "st"}
    assert frame.csi300_weight.sum() == pytest.approx(1)
    assert frame.pb.notna().sum() > 200
    assert frame.csi300_member.dtype == bool


# ---------------------------------------------------------------------- Qlib


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
        close = np.round(12 + np.cumsum(rng.normal(0, 0.1, count)), 2)
        raw = {"open": close - 0.01, "high": close + 0.05, "low": close - 0.05, "close": close}
        volume = rng.integers(1000, 4_000_000, count).astype(float)
        factor = np.where(np.arange(count) < 150, 1.5, 3.137)
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


# --------------------------------------------------------------------- rules


def test_boards():
    symbols = np.array(["600000.SH", "688001.SH", "000001.SZ", "300001.SZ", "830799.BJ"], dtype=object)
    assert board_of(symbols).tolist() == ["main", "star", "main", "chinext", "bse"]
    with pytest.raises(ValueError, match=r"write it as 600000\.SH"):
        board_codes(np.array(["600000"], dtype=object))


@pytest.mark.parametrize(
    ("symbol", "day", "st", "session", "listed", "expected"),
    [
        ("600000.SH", "2015-01-05", False, 0, None, (10, 10)),
        ("600000.SH", "2015-01-05", True, 0, None, (5, 5)),
        ("300001.SZ", "2020-08-21", True, 0, None, (5, 5)),
        ("300001.SZ", "2020-08-24", True, 0, None, (20, 20)),
        ("688001.SH", "2023-01-05", False, 0, None, (20, 20)),
        ("830799.BJ", "2023-01-05", False, 0, None, (30, 30)),
        ("603001.SH", "2015-01-05", False, 1, "2015-01-05", (44, 36)),
        ("603001.SH", "2015-01-06", False, 2, "2015-01-05", (10, 10)),
        ("300001.SZ", "2019-01-07", False, 1, "2019-01-07", (44, 36)),
        ("301001.SZ", "2021-01-08", False, 5, "2021-01-04", (np.nan, np.nan)),
        ("301001.SZ", "2021-01-11", False, 6, "2021-01-04", (20, 20)),
        ("688001.SH", "2023-01-05", False, 3, "2023-01-03", (np.nan, np.nan)),
        ("601061.SH", "2023-04-10", False, 1, "2023-04-10", (np.nan, np.nan)),
        ("601061.SH", "2023-04-17", False, 6, "2023-04-10", (10, 10)),
        ("830799.BJ", "2023-01-06", False, 2, "2023-01-05", (30, 30)),
    ],
)
def test_limit_percent(symbol, day, st, session, listed, expected):
    up, down = limit_percent(
        board_codes(np.array([symbol], dtype=object)),
        np.datetime64(day),
        np.array([st]),
        np.array([session]),
        np.array([listed or "NaT"], "datetime64[D]"),
    )
    np.testing.assert_array_equal([up[0], down[0]], expected)


def test_limit_prices_round_half_up_and_move_a_tick():
    close = np.array([10.0, 5.25, 7.35, 0.04, 0.01, 1855.01, np.nan, 10.0])
    percent = np.array([10.0, 10, 10, 10, 5, 10, 10, np.nan])
    up, down = price_limits(close, percent, percent)
    np.testing.assert_array_equal(up, [11, 5.78, 8.09, 0.05, 0.02, 2040.51, np.nan, np.nan])
    np.testing.assert_array_equal(down, [9, 4.73, 6.62, 0.03, 0.01, 1669.51, np.nan, np.nan])
    np.testing.assert_array_equal(round_to_tick(np.array([1.005, 2.675, 9.1125, np.nan])), [1.01, 2.68, 9.11, np.nan])
