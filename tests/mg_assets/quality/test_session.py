"""A day that does not reach its close is incomplete, unless the calendar says that it ended early."""

import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mg_assets import factors
from mg_assets.lake.store import Lake
from mg_assets.market.sessions import HALTS, SHORT_SESSIONS, session_end
from mg_assets.quality import run_suite
from mg_assets.quality.session import SessionRows, find_hole, measure_reach
from mg_assets.quality.suite import Measures
from mg_assets.sources.mapped.source import MappedSource

MINUTE = 60_000
OPEN, CLOSE = 565 * MINUTE, 900 * MINUTE  # 09:25, 15:00
TRADING = np.r_[570:690, 780:897] * MINUTE  # continuous trading
CASES = Path(__file__).parents[4] / "shared" / "cases"


def session_of(lake: Lake, table: str, day: str):
    return next(o for o in run_suite(table, lake, [day]) if o.name == "session")


def session_rows(times: dict[str, np.ndarray]) -> SessionRows:
    rows = SessionRows()
    symbols = np.repeat(list(times), [len(t) for t in times.values()])
    rows.add_ticks(pa.chunked_array([pa.array(symbols)]), np.concatenate(list(times.values())))
    return rows


def measured(last, exchange="SH", first=OPEN, day=dt.date(2023, 2, 1)):
    """Measures of stocks of one exchange with the given last times."""
    measures = Measures()
    measure_reach(measures, day, session_rows({f"{600000 + i}.{exchange}": [first, t] for i, t in enumerate(last)}))
    return measures


def market(stocks: int, rate: float, seed: int = 0, exchanges=("SH",)) -> dict[str, np.ndarray]:
    """A day of stocks that trade in so much of the minutes, less of them before noon, and in both auctions."""
    rng = np.random.default_rng(seed)
    busy = rate * (1.3 - 0.6 * np.exp(-(((np.arange(len(TRADING)) - 110) / 40.0) ** 2)))
    return {
        f"{600000 + i}.{exchanges[i % len(exchanges)]}": np.r_[
            OPEN, TRADING[rng.random(len(TRADING)) < busy] + rng.integers(0, MINUTE), CLOSE
        ]
        for i in range(stocks)
    }


def holes(times: dict[str, np.ndarray], day=dt.date(2023, 2, 1)) -> list[dict]:
    measures = Measures()
    measure_reach(measures, day, session_rows(times))
    assert measures.values["holes"] == len(measures.examples.get("holes", []))
    return measures.examples.get("holes", [])


def without(times: np.ndarray, first: str, until: str) -> np.ndarray:
    begins, ends = ((int(c[:2]) * 60 + int(c[3:])) * MINUTE for c in (first, until))
    return times[(times < begins) | (times >= ends)]


@pytest.mark.parametrize(("table", "cut"), [("trades", "11:00"), ("orders", "11:00"), ("trades", "14:50")])
def test_a_day_cut_before_the_close_is_blocked(clean, tmp_path, table, cut):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    frame = clean.day(table, day)
    lake.write(table, day, frame)
    assert session_of(lake, table, day).passed
    lake.write(table, day, frame[frame["time"] < f"{day} {cut}"])
    found = session_of(lake, table, day)
    assert found.blocking
    assert not found.passed
    assert {row["exchange"] for row in found.bad} == {"SH", "SZ"}
    assert all(row["last"] < cut and row["expected"].endswith("14:57:00") for row in found.bad)


def test_minute_bars_without_the_afternoon_are_blocked(clean, tmp_path):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    trades = clean.day("trades", day)
    lake.write("minute_bars", day, factors.bars_from_trades(trades))
    assert session_of(lake, "minute_bars", day).passed
    lake.write("minute_bars", day, factors.bars_from_trades(trades[trades["time"].dt.hour < 13]))
    found = session_of(lake, "minute_bars", day)
    assert not found.passed
    assert [row["measure"] for row in found.bad] == ["short_exchanges", "short_exchanges"]


def test_a_stock_suspended_during_the_session_is_no_error(clean, tmp_path):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    trades = clean.day("trades", day)
    suspended = (trades["symbol"] == "600003.SH") & (trades["time"].dt.hour >= 10)
    lake.write("trades", day, trades[~suspended])
    assert session_of(lake, "trades", day).passed


def test_share_of_stocks_that_end_early_has_a_limit():
    for early, share in ((10, 0.4), (15, 0.6)):
        found = measured([CLOSE] * (25 - early) + [870 * MINUTE] * early)
        assert found.values["unclosed_share"] == pytest.approx(share)
        assert found.values["short_exchanges"] == 0
        assert found.examples["unclosed_share"][0]["ended_early"] == f"{share:.1%}"
    assert "unclosed_share" not in measured([CLOSE] * 19).values


def test_a_market_that_opens_late_is_found():
    assert measured([CLOSE] * 3, first=780 * MINUTE).values["late_exchanges"] == 1
    assert measured([CLOSE] * 3, first=570 * MINUTE).values["late_exchanges"] == 0


def test_exchanges_with_one_stock_each_are_measured_together():
    for last, short in ((CLOSE, 0), (660 * MINUTE, 1)):
        found = Measures()
        rows = session_rows({"000001.SZ": [OPEN, 660 * MINUTE], "600000.SH": [OPEN, last]})
        measure_reach(found, dt.date(2023, 2, 1), rows)
        assert found.values["short_exchanges"] == short
    assert found.examples["short_exchanges"][0]["exchange"] == "SH+SZ"


@pytest.mark.parametrize("day", sorted(SHORT_SESSIONS), ids=str)
def test_circuit_breaker_days_end_when_the_exchange_closed(day):
    end = session_end(day)
    ended = (end.hour * 60 + end.minute) * MINUTE
    assert measured([ended - 20_000] * 30, day=day).values["short_exchanges"] == 0
    assert measured([ended - 10 * MINUTE] * 30, day=day).values["short_exchanges"] == 1
    assert measured([ended - 20_000] * 30, day=day + dt.timedelta(1)).values["short_exchanges"] == 1
    assert session_end(day + dt.timedelta(1)) == dt.time(15, 0)


def test_minute_bars_of_the_circuit_breaker_day_pass(tmp_path):
    if not CASES.is_dir():
        pytest.skip(f"cases absent: {CASES}")
    source = MappedSource("minute_tushare", CASES / "circuit_breaker_20160107", files={"minute": "stk_mins.csv"})
    lake, bars = Lake(tmp_path), source.load("minute_bars", dt.date(2016, 1, 7)).frame
    for day, passes in (("2016-01-07", True), ("2016-01-08", False)):
        lake.write("minute_bars", day, pd.DataFrame(bars))
        assert session_of(lake, "minute_bars", day).passed == passes


@pytest.mark.parametrize(("first", "until"), [("10:00", "11:00"), ("11:00", "13:30"), ("09:30", "10:00"),
                                              ("14:00", "14:57")])  # fmt: skip
@pytest.mark.parametrize("stocks", [2, 30, 400])
def test_an_hour_without_rows_is_a_hole(stocks, first, until):
    times = market(stocks, 0.7)
    assert holes(times) == []
    (found,) = holes({s: without(t, first, until) for s, t in times.items()})
    last = dt.datetime.strptime(until, "%H:%M") - dt.timedelta(minutes=1)
    if stocks > 2:  # two may have no rows in the minute before, too
        assert (found["first_minute"], found["last_minute"]) == (first, f"{last:%H:%M}")
    assert found["rows"] == 0
    assert found["rows_expected"] > 0.4 * stocks * found["minutes"]


def test_a_hole_of_most_stocks_is_found_and_of_some_is_not():
    times = market(300, 0.6)
    for share, bad in ((0.8, True), (0.7, True), (0.2, False)):
        lacking = {s for i, s in enumerate(times) if i < share * 300}
        cut = {s: without(t, "13:30", "14:00") if s in lacking else t for s, t in times.items()}
        found = holes(cut)
        assert bool(found) == bad, share
        if found:
            assert (found[0]["first_minute"], found[0]["last_minute"]) == ("13:30", "13:59")
            assert found[0]["rows"] == sum(((t >= 810 * MINUTE) & (t < 840 * MINUTE)).sum() for t in cut.values())


def test_one_minute_of_a_whole_market_is_a_hole():
    times = market(300, 0.6)
    (found,) = holes({s: without(t, "10:07", "10:08") for s, t in times.items()})
    assert (found["first_minute"], found["last_minute"], found["minutes"]) == ("10:07", "10:07", 1)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.4, 0.75])
@pytest.mark.parametrize("stocks", [2, 5, 19, 20, 60])
def test_thin_trading_is_no_hole(stocks, rate):
    assert [holes(market(stocks, rate, seed)) for seed in range(8)] == [[]] * 8


def test_stocks_that_stop_or_start_within_the_day_are_no_hole():
    times = market(200, 0.6)
    locked = {s: t[(t < (600 + i) * MINUTE) | (t == CLOSE)] if i % 4 else t for i, (s, t) in enumerate(times.items())}
    assert holes(locked) == []
    late = {s: t[(t >= (780 + i) * MINUTE) | (t == OPEN)] if i % 2 else t for i, (s, t) in enumerate(times.items())}
    assert holes(late) == []
    one = dict(times, **{"600007.SH": without(times["600007.SH"], "09:30", "14:57")})
    assert holes(one) == []


def test_a_single_stock_may_be_suspended_for_an_hour():
    times = market(1, 0.7)
    assert holes({s: without(t, "10:00", "11:00") for s, t in times.items()}) == []


def test_a_hole_of_one_exchange_names_it():
    times = market(60, 0.6, exchanges=("SH", "SZ"))
    cut = {s: without(t, "10:00", "11:00") if s.endswith("SZ") else t for s, t in times.items()}
    assert [h["exchange"] for h in holes(cut)] == ["SZ"]


@pytest.mark.parametrize("day", sorted(HALTS), ids=str)
def test_the_circuit_breakers_halt_is_no_hole(day):
    end = session_end(day)
    until = (end.hour * 60 + end.minute) * MINUTE
    first, last = (f"{t:%H:%M}" for t in HALTS[day])
    times = {s: without(t[t < until], first, last) for s, t in market(300, 0.9).items()}
    assert holes(times, day) == []
    assert len(holes(times, day + dt.timedelta(1))) == 1


def hole_by_loops(x: np.ndarray, partial: bool):
    best = (-np.inf, None)
    for i, j in itertools.combinations(range(len(x) + 1), 2):
        others = np.r_[x[:i], x[j:]]
        if not len(others):
            continue
        sides = [(x[max(i - 10, 0) : i], x[max(i - 3, 0) : i])] * (i >= 5)
        sides += [(x[j : j + 10], x[j : j + 3])] * (len(x) - j >= 5)
        level, size = min([others.mean(), *(part.mean() for side in sides for part in side)]), j - i
        missing, share = level * size - x[i:j].sum(), max(x[i:j].mean(), x[i:j][:3].mean(), x[i:j][-3:].mean())
        few = partial and size >= 5 and missing >= 6 * (level * size * (1 + size / 10)) ** 0.5
        few = few and bool(sides) and share <= level * (0.4 if len(sides) == 2 else 0.2)
        score = level * size * 0.4 - x[i:j].sum()
        if missing >= 30 and (few or not x[i:j].any()) and score > best[0] + 1e-9:
            few_at = [m for m in range(i, j) if x[m] <= 0.4 * level]
            best = (score, (few_at[0], few_at[-1] + 1, pytest.approx(level)))
    return best[1]


def test_a_quiet_day_between_two_auctions_is_no_hole():
    stocks = np.random.default_rng(1).poisson(5.0, 240)
    stocks[0], stocks[237:] = 35, (0, 0, 35)
    assert find_hole(stocks, partial=True) is None
    stocks[60:120] = 0
    assert find_hole(stocks, partial=True)[:2] == (60, 120)


def test_hole_search_against_loops():
    rng, met = np.random.default_rng(3), 0
    for number in range(40):
        stocks = rng.poisson(rng.choice([5.0, 40.0]), 34)
        a, left = int(rng.integers(0, 25)), int(rng.integers(0, 3))
        stocks[a : a + 14] = stocks[a : a + 14] * left // 4
        wanted = hole_by_loops(stocks, partial=number % 2 == 0)
        met += wanted is not None
        assert find_hole(stocks, partial=number % 2 == 0) == wanted
    assert 10 < met < 35


@pytest.mark.parametrize("table", ["trades", "orders", "minute_bars"])
def test_a_hole_in_the_tables_is_blocked(clean, tmp_path, table):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    trades = pd.concat([clean.day("trades", day)] * 20).sort_values(["symbol", "time"])  # ticks of more minutes
    trades["time"] = np.where(
        trades["time"].dt.hour.isin([9, 15]), trades["time"],
        pd.Timestamp(day) + pd.to_timedelta(np.random.default_rng(0).choice(TRADING, len(trades)), "ms"),
    )  # fmt: skip
    trades = trades.sort_values(["symbol", "time"]).assign(seq=np.arange(len(trades)))
    cut = trades[(trades["time"] < f"{day} 10:00") | (trades["time"] >= f"{day} 11:00")]
    for frame, passes in ((trades, True), (cut, False)):
        if table == "minute_bars":
            lake.write(table, day, factors.bars_from_trades(frame))
        else:
            blank = {"order_id": frame["seq"], "kind": "limit", "side": 1}
            frame = frame.assign(**blank) if table == "orders" else frame
            lake.write(table, day, frame[clean.day(table, day).columns])
        found = session_of(lake, table, day)
        assert found.passed == passes
    assert found.blocking
    shown = [(r["exchange"], r["measure"], r["first_minute"], r["last_minute"], r["rows"]) for r in found.bad]
    assert shown == [(e, "holes", "10:00", "10:59", 0) for e in ("SH", "SZ")]


@pytest.mark.parametrize("table", ["trades", "orders", "minute_bars"])
def test_an_absent_exchange_is_blocked(clean, tmp_path, table):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    frame, reference = clean.day(table, day), clean.day("reference", day)
    shanghai = frame[frame["symbol"].str.endswith(".SH")]
    lake.write("reference", day, reference)
    lake.write(table, day, shanghai)
    found = session_of(lake, table, day)
    assert found.blocking
    assert not found.passed
    (row,) = found.bad
    assert (row["measure"], row["exchange"], row["rows"], row["stocks_expected"]) == ("absent_exchanges", "SZ", 0, 7)
    lake.write(table, day, shanghai[shanghai["symbol"].isin(["600000.SH", "600001.SH"])])  # chosen stocks
    assert session_of(lake, table, day).passed
    lake.write("reference", day, reference[reference["symbol"].str.endswith(".SH")])  # a chosen exchange
    lake.write(table, day, shanghai)
    assert session_of(lake, table, day).passed
    reference.loc[reference["symbol"].str.endswith(".SZ"), "suspended"] = True
    lake.write("reference", day, reference)
    assert session_of(lake, table, day).passed


def test_an_exchange_that_the_last_day_has_is_missed(clean, tmp_path):
    lake, (first, second) = Lake(tmp_path), clean.keys("trades")[:2]
    beijing = [f"{830000 + i}.BJ" for i in range(25)]
    for day in (first, second):
        trades, reference = clean.day("trades", day), clean.day("reference", day)
        one = trades[trades["symbol"] == "600000.SH"]
        added = pd.concat([one.assign(symbol=s) for s in beijing])
        listed = pd.concat([reference, pd.concat([reference[:1].assign(symbol=s) for s in beijing])])
        lake.write("reference", day, listed)
        lake.write("trades", day, trades)
        if day == first:
            assert session_of(lake, "trades", day).passed  # never delivered
            lake.write("trades", day, pd.concat([trades, added]))
    found = session_of(lake, "trades", second)
    assert [(r["exchange"], r["stocks_of_the_partition_before"]) for r in found.bad] == [("BJ", 25)]
