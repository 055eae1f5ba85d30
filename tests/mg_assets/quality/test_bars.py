"""Each rule of the bars: a partition that breaks just it, and whole days that break none."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.lake.store import Lake
from mg_assets.quality import SUITES, run_suite
from mg_assets.quality.bars import DIFFERENCES, ODD_BARS, ODD_STOCKS


def traded_row(frame, skip=2):
    """A row with trades; of minute bars one whose next bar is empty."""
    volume = frame["volume"].to_numpy()
    followed = np.r_[volume[1:] == 0, False] if "minute" in frame else np.ones(len(frame), bool)
    return int(np.flatnonzero((volume > 0) & followed)[skip])


def at(column, value, where=traded_row):
    def change(frame):
        out = frame.copy()
        row = out.index[where(out)]
        old = out.at[row, column]
        if not callable(value) and value is not None and isinstance(value, float):
            out[column] = out[column].astype(float)
        out.at[row, column] = value(old) if callable(value) else value
        return out

    return change


def empty_row(frame):
    """An empty bar between two of the same stock."""
    volume = frame["volume"].to_numpy()
    inner = (frame["minute"] > 20) & (frame["minute"] < 200)
    return int(np.flatnonzero((volume == 0) & inner.to_numpy())[4])


def both(*changes):
    def change(frame):
        for one in changes:
            frame = one(frame)
        return frame

    return change


def shift_prices(amount, columns=("open", "high", "low", "close")):
    return both(*(at(c, lambda p: p + amount) for c in columns))


def last_row(frame):
    return len(frame) - 1


MINUTES = {
    "schema": (lambda f: f.drop(columns="amount"), {"schema_faults"}),
    "null volume": (at("volume", None, empty_row), {"nulls"}),
    "a minute lost": (lambda f: f.drop(index=f.index[empty_row(f)]), {"bad_grid"}),
    "last minute lost": (lambda f: f.iloc[:-1], {"bad_grid", "volume_differs", "amount_differs", "count_differs"}),
    "a minute twice": (lambda f: f.sort_index(kind="stable").iloc[np.sort(np.r_[np.arange(len(f)), empty_row(f)])],
                       {"bad_grid"}),
    "stocks swapped": (lambda f: pd.concat([f.iloc[240:480], f.iloc[:240], f.iloc[480:]]), {"unsorted"}),
    "high too low": (at("high", lambda p: p - 0.01), {"bad_ohlc"}),
    "negative": (at("num_trades", -5, empty_row), {"negative"}),
    "empty bar moved": (at("close", lambda p: p + 0.01, empty_row), {"bad_empty", "bad_ohlc"}),
    "no price": (both(*(at(c, np.nan) for c in ("open", "high", "low", "close"))), {"no_price"}),
    "average price": (shift_prices(0.05), {"bad_vwap", "bad_empty"}),
    "tick": (both(at("low", lambda p: p - 0.01), at("close", lambda p: p - 0.004)), {"off_tick", "bad_empty"}),
    "volume": (at("volume", lambda v: v + 100, last_row), {"volume_differs", "bad_vwap"}),
    "amount": (at("amount", lambda a: a + 1.0), {"amount_differs"}),
    "count": (at("num_trades", lambda n: n + 1), {"count_differs"}),
    "stocks lost": (lambda f: f[f["symbol"] < "600008"],
                    {"symbols_ratio", "no_data_share", "volume_differs", "amount_differs"}),
    "unknown stock": (lambda f: f.assign(symbol=f["symbol"].replace("688004.SH", "688999.SH")),
                      {"unknown_symbols", "volume_differs", "amount_differs", "count_differs"}),
}  # fmt: skip


def outside(frame):
    """A bar above the upper limit, amount and neighbours consistent."""
    out = frame.copy()
    row = last_row(out)
    out.loc[out.index[row], ["open", "high", "low", "close"]] = 99.0
    out.loc[out.index[row], "amount"] = 99.0 * out["volume"].iat[row]
    return out


MINUTES["outside"] = (outside, {"outside_limits", "amount_differs"})

SUSPENDED = 5  # row of the stock that never trades


def halted(frame):
    return SUSPENDED


def low_limit(frame):
    """The upper limit just under the day's high, and still not under the reference price."""
    row = np.flatnonzero(frame["high"] > frame["prev_close"] + 0.02)[0]
    return at("up_limit", float(frame["high"].iat[row] - 0.01), lambda f: int(row))(frame)


def with_limits(up, down):
    return both(at("up_limit", up), at("down_limit", down))


DAILY = {
    "schema": (lambda f: f.assign(extra=1), {"schema_faults"}),
    "null factor": (at("adj_factor", None, halted), {"nulls", "bad_factor"}),
    "twice": (lambda f: f.iloc[np.sort(np.r_[np.arange(len(f)), SUSPENDED])], {"repeated"}),
    "order": (lambda f: f.iloc[::-1], {"unsorted"}),
    "symbol": (at("symbol", "000006", halted), {"bad_symbol"}),
    "low above open": (at("low", lambda p: p + 2.0), {"bad_ohlc", "price_differs", "bad_vwap"}),
    "negative": (at("volume", -1, halted), {"negative"}),
    "no price": (both(*(at(c, np.nan) for c in ("open", "high", "low", "close"))), {"no_price"}),
    "vwap": (at("vwap", lambda p: p * 1.2), {"bad_vwap"}),
    "tick": (both(at("high", lambda p: p + 0.005)), {"off_tick", "price_differs"}),
    "limit": (low_limit, {"outside_limits"}),
    "crossed": (with_limits(lambda p: 5.0, lambda p: p), {"limits_crossed", "outside_limits"}),
    "shares": (at("float_shares", 0.0, halted), {"bad_shares"}),
    "suspended trades": (at("suspended", True), {"traded_suspended"}),
    "volume": (at("volume", lambda v: v + 300), {"volume_differs"}),
    "amount": (at("amount", lambda a: a + 3000.0), {"amount_differs"}),
    "close": (at("close", lambda p: p + 0.01), {"price_differs"}),
    "reference price": (at("prev_close", lambda p: p * 1.05), {"jump_share"}),
    "stocks lost": (lambda f: f[f["symbol"] < "600008"],
                    {"symbols_ratio", "no_data_share", "alone", "alone_share"}),
    "unknown": (at("symbol", "000999.SZ", lambda f: SUSPENDED), {"unsorted"}),
    "factor": (at("adj_factor", 0.0, halted), {"bad_factor"}),
}  # fmt: skip
WARNS = {"rows_ratio", "symbols_ratio", "no_data_share", "unknown_symbols", "jump_share"}

WEEKLY = {
    "schema": (lambda f: f.drop(columns="vwap"), {"schema_faults"}),
    "twice": (lambda f: f.iloc[np.sort(np.r_[np.arange(len(f)), SUSPENDED])], {"repeated"}),
    "ohlc": (at("open", lambda p: p * 1.5), {"bad_ohlc"}),
    "amount": (at("amount", lambda a: a * 1.01), {"amount_differs"}),
    "high": (at("high", lambda p: p + 0.01), {"price_differs"}),
    "negative": (at("volume", -1, halted), {"negative"}),
}
TABLES = {"minute_bars": MINUTES, "daily_bars": DAILY, "weekly_bars": WEEKLY}


@pytest.fixture(scope="module")
def reported(broken, clean):
    return {
        "minute_bars": broken("minute_bars", MINUTES),
        "daily_bars": broken("daily_bars", DAILY),
        "weekly_bars": broken("weekly_bars", WEEKLY, clean.keys("weekly_bars")),
    }


@pytest.mark.parametrize(("table", "name"), [(t, n) for t, breaks in TABLES.items() for n in breaks], ids=lambda v: v)
def test_each_broken_rule_fails_its_own_check(reported, table, name):
    found = reported[table][name]
    assert {row["measure"] for row in found} == TABLES[table][name][1]
    warns = WARNS | (set(ODD_BARS) if table == "minute_bars" else {*ODD_STOCKS, *DIFFERENCES, "alone", "off_tick"})
    warns -= {"amount_differs", "volume_differs", "price_differs"} if table != "daily_bars" else set()
    assert all(row["blocking"] == (row["measure"] not in warns) for row in found)


@pytest.mark.parametrize(
    ("table", "change", "blocked"),
    [
        ("minute_bars", lambda f: f.assign(high=f["high"] - 0.5), {"bad_ohlc_share", "bad_vwap_share", "bad_empty"}),
        ("minute_bars", lambda f: f.assign(amount=f["amount"] * 1000), {"bad_vwap_share", "amount_differs"}),
        ("daily_bars", lambda f: f.assign(low=f["low"] + 2.0), {"bad_ohlc_share", "bad_vwap_share"}),
        ("daily_bars", lambda f: f.assign(volume=f["volume"] * 100), {"volume_differs_share"}),
        ("daily_bars", lambda f: f.assign(up_limit=5.0), {"outside_limits_share", "limits_crossed_share"}),
        ("weekly_bars", lambda f: f.assign(vwap=f["vwap"] * 1.5), {"bad_vwap_share"}),
    ],
)
def test_what_many_rows_contradict_blocks(lake, table, change, blocked):
    key = lake.keys(table)[3]
    lake.write(table, key, change(lake.day(table, key)))
    found = {row["measure"] for o in run_suite(table, lake, [key]) if o.blocking for row in o.bad}
    assert blocked <= found


@pytest.mark.parametrize("table", ["minute_bars", "daily_bars", "weekly_bars", "monthly_bars"])
def test_valid_partitions_pass(clean, table):
    outcomes = run_suite(table, clean, clean.keys(table))
    assert [o.name for o in outcomes] == [c.name for c in SUITES[table].checks]
    assert [(o.name, o.bad) for o in outcomes if not o.passed] == []


def test_bars_without_trades_or_counts_are_the_sources_own(lake):
    key = lake.keys("minute_bars")[3]
    lake.write("trades", key, lake.day("trades", key).iloc[:0])
    lake.write("minute_bars", key, lake.day("minute_bars", key).assign(num_trades=None))
    outcomes = {o.name: o for o in run_suite("minute_bars", lake, [key])}
    assert all(o.passed for o in outcomes.values())
    assert outcomes["matches_trades"].observed["note"] == "not applicable"


def test_after_hours_volume_may_exceed_the_minutes_on_star_alone(lake):
    key = lake.keys("daily_bars")[3]
    daily = lake.day("daily_bars", key)
    star = daily["symbol"].str.startswith("688")
    more = daily.assign(
        volume=daily["volume"] + np.where(star, 1000, 0), amount=daily["amount"] + np.where(star, 9e3, 0)
    )
    lake.write("daily_bars", key, more)
    assert {o.name: o.passed for o in run_suite("daily_bars", lake, [key])}["matches_minutes"]
    lake.write("daily_bars", key, daily.assign(volume=daily["volume"] - np.where(star, 200, 0)))
    assert not {o.name: o.passed for o in run_suite("daily_bars", lake, [key])}["matches_minutes"]


def test_a_split_passes_continuity(lake):
    days = lake.keys("daily_bars")
    bars = lake.day("daily_bars", days[4])
    split = bars.assign(adj_factor=2.0, prev_close=(bars["prev_close"] / 2).round(2))
    lake.write("daily_bars", days[4], split)
    outcome = {o.name: o for o in run_suite("daily_bars", lake, [days[4]])}["continuity"]
    assert outcome.passed
    assert outcome.observed["measures"]["jump_share"] == [0.0, 0.0]


def test_a_source_without_amounts_passes(lake):
    for key in lake.keys("daily_bars"):
        daily = lake.day("daily_bars", key).assign(amount=np.nan, num_trades=None, vwap=np.nan, up_limit=np.nan)
        lake.write("daily_bars", key, daily)
    key = lake.keys("daily_bars")[2]
    lake.write("minute_bars", key, lake.day("minute_bars", key).iloc[:0])
    assert all(o.passed for o in run_suite("daily_bars", lake, [key]))


def many(day: str, stocks: int = 200) -> pd.DataFrame:
    """A day's bars of many stocks, each at its own price."""
    price = 10 + np.arange(stocks) / 100
    return pd.DataFrame(
        {
            "symbol": [f"{i:06d}.SZ" for i in range(1, stocks + 1)],
            **dict.fromkeys(("open", "high", "low", "close", "vwap", "prev_close"), price),
            "volume": 1000, "amount": 1000 * price, "num_trades": 3.0, "adj_factor": 1.0,
            "up_limit": np.round(price * 1.1, 2), "down_limit": np.round(price * 0.9, 2),
            "suspended": False, "st": False, "float_shares": 1e8,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stocks", "column", "value", "fails"),
    [
        (4, "up_limit", np.nan, False),
        (5, "up_limit", np.nan, True),
        (5, "down_limit", np.nan, True),
        (200, "up_limit", np.nan, False),  # a vendor without limits
        (1, "high", 12.345, False),
        (2, "close", 10.995, True),
    ],
)
def test_few_may_lack_limits_or_the_tick(tmp_path, stocks, column, value, fails):
    lake = Lake(tmp_path)
    frame = many("2023-01-04")
    frame.loc[: stocks - 1, column] = value
    if column == "high":
        frame.loc[: stocks - 1, "up_limit"] = 12.345
    lake.write("daily_bars", "2023-01-04", frame)
    outcome = {o.name: o for o in run_suite("daily_bars", lake, ["2023-01-04"])}["price_limits"]
    assert outcome.passed is not fails
    assert outcome.blocking


@pytest.mark.parametrize(
    ("stocks", "wrong", "known", "fails"),
    [
        (200, 200, True, True),
        (200, 200, False, False),  # a source with neither reference prices nor limits
        (200, 4, True, False),  # first days
        (200, 5, True, True),
        (50, 50, True, True),
        (50, 49, True, False),
        (9, 9, True, False),  # may all be in their first days
    ],
)
@pytest.mark.parametrize("factor", [1.5, 1.15, 0.7])
def test_a_market_beyond_its_rules_fails_without_limits(tmp_path, stocks, wrong, known, fails, factor):
    lake, frame = Lake(tmp_path), many("2023-01-04", stocks).assign(up_limit=np.nan, down_limit=np.nan)
    prices = ["open", "high", "low", "close", "vwap"]
    frame.loc[: wrong - 1, prices] = (frame.loc[: wrong - 1, prices] * factor).round(2)
    frame["amount"] = frame["vwap"] * frame["volume"]
    if wrong < stocks:
        frame.loc[stocks - 1, "symbol"] = "999999"  # fails a check of its own
    if not known:
        frame["prev_close"] = np.nan
    lake.write("daily_bars", "2023-01-04", frame)
    outcome = {o.name: o for o in run_suite("daily_bars", lake, ["2023-01-04"])}["price_limits"]
    assert outcome.passed is not fails
    if fails:
        assert outcome.observed["measures"]["unlimited_share"] == [wrong / stocks] * 2


@pytest.mark.parametrize(
    ("row", "off", "step", "passes"),
    [
        (5, 45, 1, False),
        (5, 45, 100, True),
        (5, 160, 100, False),
        (0, 95, 100, True),  # the bar and the opening auction, each rounded
        (0, 260, 100, False),
    ],
)
def test_volumes_rounded_by_their_source(tmp_path, row, off, step, passes):
    """One trade a minute at one price: the average price shows how far the stated volume is off."""
    lake, true = Lake(tmp_path), 1_000
    bars = pd.DataFrame({"symbol": "600000.SH", "minute": np.arange(240), "volume": true, "amount": true * 10.0})
    bars = bars.assign(**dict.fromkeys(("open", "high", "low", "close"), 10.0), num_trades=None)
    bars.loc[row, "volume"] = true + off
    lake.write("minute_bars", "2023-02-01", bars, {} if step == 1 else {"volume_step": step})
    outcomes = {o.name: o for o in run_suite("minute_bars", lake, ["2023-02-01"])}
    assert outcomes["odd_bars"].passed == passes
    assert outcomes["ohlc"].passed  # one bar of 240
    bars.loc[row, ["volume", "amount"]] = 0, 400.0  # 40 shares, rounded away
    lake.write("minute_bars", "2023-02-01", bars, {} if step == 1 else {"volume_step": step})
    outcomes = {o.name: o for o in run_suite("minute_bars", lake, ["2023-02-01"])}
    assert outcomes["ohlc"].passed == (step == 100)
