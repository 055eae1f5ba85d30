"""Halted days that a source leaves out, and factors and returns that no rule allows."""

from dataclasses import replace

import numpy as np
import pytest

from mg_assets.factors.labels import labels
from mg_assets.market.calendar import trading_days
from mg_assets.market.sessions import HALT_SESSIONS
from mg_assets.sources.daily.panel import build_panel
from mg_assets.sources.daily.vetting import DailyRows

DAYS = trading_days("2018-06-01", "2018-12-28")
AXIS = np.array(["000001.SZ", "000002.SZ", "600000.SH", "600519.SH"], dtype=object)
ODD = 3


def rows_of(close, keep=None, **columns):
    """Daily rows of four stocks at these closes ``(D, S)``; ``keep`` says which there are."""
    days, stocks = close.shape
    keep = np.ones(close.shape, bool) if keep is None else keep
    symbol, date = np.broadcast_arrays(np.arange(stocks), DAYS[:days, None])
    flat = {"open": close, "high": close, "low": close, "close": close, "volume": np.full(close.shape, 1e5), **columns}
    return DailyRows(
        AXIS[:stocks], symbol[keep].astype(np.int32), date[keep], {n: np.asarray(v)[keep] for n, v in flat.items()}
    )


def of_stock(panel, column, stock=ODD):
    """A column of a stock by day; NaN where it has no row."""
    out = np.full(len(panel.days), np.nan)
    for d in range(len(panel.days)):
        rows = slice(panel.offsets[d], panel.offsets[d + 1])
        mine = np.flatnonzero(panel.symbol[rows] == stock)
        if len(mine):
            out[d] = panel.columns[column][rows][mine[0]]
    return out


def flat(days=20, stocks=4):
    return np.full((days, stocks), 10.0)


def test_a_day_without_a_row_is_a_halt_while_a_later_row_exists():
    close, keep = flat(), np.ones((20, 4), bool)
    close[12:, ODD], keep[4:12, ODD] = 6.0, False
    panel = build_panel(rows_of(close, keep))
    assert np.flatnonzero(of_stock(panel, "suspended")).tolist() == list(range(4, 12))
    np.testing.assert_array_equal(of_stock(panel, "close"), [10.0] * 12 + [6.0] * 8)
    assert (of_stock(panel, "volume")[4:12] == 0).all()
    assert of_stock(panel, "prev_close")[12] == 10.0  # the loss falls on the day back
    assert panel.day_notes(DAYS[4])["rows_added_for_halts"] == 1
    assert "rows_added_for_halts" not in panel.day_notes(DAYS[12])


def test_a_day_whose_row_is_set_aside_is_no_halt():
    close, keep = flat(), np.ones((20, 4), bool)
    close[5, ODD], keep[6, ODD] = -1.0, False
    panel = build_panel(rows_of(close, keep))
    assert panel.day_notes(DAYS[6])["rows_added_for_halts"] == 1
    assert np.isnan(of_stock(panel, "close")[5])
    assert of_stock(panel, "suspended")[6] == 1


@pytest.mark.parametrize(
    ("delisted", "last"),
    [(None, 9 + HALT_SESSIONS), ("none has one", 9 + HALT_SESSIONS), ("another has one", 99), (30, 29), (5, 9)],
    ids=["no listing table", "no dates in it", "still listed", "delisted", "delisted before its last row"],
)
def test_how_long_a_stock_without_a_later_row_counts(delisted, last):
    keep = np.ones((100, 4), bool)
    keep[10:, ODD] = False
    table = None if delisted is None else np.full(4, np.datetime64("NaT", "D"))
    if delisted == "another has one":
        table[0] = DAYS[-1] + 5
    elif isinstance(delisted, int):
        table[ODD] = DAYS[delisted]
    panel = build_panel(rows_of(flat(100), keep), delisted=table)
    assert np.flatnonzero(np.isfinite(of_stock(panel, "close"))).tolist() == list(range(last + 1))


def test_a_day_with_few_rows_is_incomplete_and_not_halted():
    keep = np.ones((20, 4), bool)
    keep[19, 1:] = False
    panel = build_panel(rows_of(flat(), keep))
    assert panel.offsets[-1] - panel.offsets[-2] == 1


def test_another_day_leaves_the_days_before_as_they_are():
    close, keep = flat(30), np.ones((30, 4), bool)
    keep[10:25, ODD] = False
    short, whole = (build_panel(rows_of(close[:n], keep[:n])) for n in (20, 30))
    for name in ("close", "suspended", "adj_factor", "prev_close"):
        np.testing.assert_array_equal(of_stock(short, name), of_stock(whole, name)[:20])


def test_an_ex_day_inside_a_halt():
    close, keep, factor, before = flat(), np.ones((20, 4), bool), np.ones((20, 4)), flat()
    keep[4:12, ODD] = False
    close[12:, ODD], factor[12:, ODD], before[12:, ODD] = 5.0, 2.0, 5.0
    panel = build_panel(rows_of(close, keep, adj_factor=factor, prev_close=before))
    assert (of_stock(panel, "prev_close")[12], of_stock(panel, "adj_factor")[12]) == (5.0, 2.0)
    assert not len(panel.remarks)


def holed(**columns):
    """A stock whose factor falls from 6.285 to 1 for four days while its price goes on."""
    rng = np.random.default_rng(3)
    close = np.round(10 * np.cumprod(1 + rng.uniform(-0.03, 0.03, (30, 4)), axis=0), 2)
    factor = np.full(close.shape, 6.285)
    factor[10:14, ODD] = 1.0
    return close, build_panel(rows_of(close, adj_factor=factor, **{n: v(close) for n, v in columns.items()}))


@pytest.mark.parametrize("columns", [{}, {"prev_close": lambda c: np.vstack([c[:1], c[:-1]])}], ids=["alone", "both"])
def test_a_hole_in_the_factor_is_named_and_closed(columns):
    close, panel = holed(**columns)
    np.testing.assert_allclose(of_stock(panel, "adj_factor"), 6.285, rtol=1e-12)
    np.testing.assert_array_equal(of_stock(panel, "prev_close")[1:], close[:-1, ODD])
    price = of_stock(panel, "vwap") * of_stock(panel, "adj_factor")
    assert np.nanmax(np.abs(labels(price[:, None], np.ones((30, 1), bool), (5,)))) < 0.2
    for day, said in ((10, "-8"), (14, "+5")):
        (text,) = panel.day_notes(DAYS[day])["adj_factor_corrected_today"]
        assert text.startswith(f"600519.SH {DAYS[day]} {said}")
    assert panel.notes["adj_factor_corrected"].startswith("2 adj_factor jumps")
    assert "prices_look_adjusted" not in panel.notes


def test_a_corporate_action_is_no_hole():
    close, factor = flat(), np.ones((20, 4))
    close[10:, ODD], factor[10:, ODD] = 2.0, 5.0
    panel = build_panel(rows_of(close, adj_factor=factor))
    np.testing.assert_array_equal(of_stock(panel, "adj_factor"), factor[:, ODD])
    assert not len(panel.remarks)


@pytest.mark.parametrize("shift", [1, -1], ids=["late", "early"])
def test_a_step_on_the_wrong_day_is_moved(shift):
    close, factor = flat(), np.ones((20, 4))
    close[10:, ODD], factor[10 + shift :, ODD] = 5.0, 2.0
    panel = build_panel(rows_of(close, adj_factor=factor))
    np.testing.assert_allclose(of_stock(panel, "adj_factor"), [1.0] * 10 + [2.0] * 10)
    assert set(panel.remarks["what"]) == {"adj_factor_corrected"}


@pytest.mark.parametrize(("fall", "named"), [(0.89, True), (0.91, False)])
def test_each_return_beyond_the_limit_is_named(fall, named):
    close = flat()
    close[10:, ODD] *= fall
    close[:, 0] *= 1.05 ** np.arange(20)
    panel = build_panel(rows_of(np.round(close, 2)))
    assert [str(r.date)[:10] for r in panel.remarks.itertuples()] == ([str(DAYS[10])] if named else [])
    if named:
        assert panel.day_notes(DAYS[10])["return_beyond_limit_today"] == [
            f"600519.SH {DAYS[10]} -11.0% (reference -11.0%, limit 10%)"
        ]
    assert ("prices_look_unadjusted" in panel.notes) == named


def test_adjusted_prices_with_factors_are_said_to_be():
    factor = np.ones((60, 4))
    for day in range(5, 60, 10):
        factor[day:, ODD] *= 1.5
    panel = build_panel(rows_of(flat(60), adj_factor=factor))
    assert panel.notes["prices_look_adjusted"].startswith("on 6 of 6 days")
    np.testing.assert_allclose(of_stock(panel, "adj_factor"), 1.0)


def test_no_limit_no_remark():
    close = flat()
    close[2:, ODD] = 14.0  # the third session of a stock listed under registration
    listed = np.full(4, DAYS[0])
    rows = replace(rows_of(close), axis=np.array([*AXIS[:3], "688001.SH"], dtype=object))
    assert not len(build_panel(rows, listed).remarks)
    assert len(build_panel(rows).remarks) == 1


@pytest.mark.parametrize("reference", [True, False], ids=["reference price", "price range"])
@pytest.mark.parametrize("new", [True, False], ids=["new", "old"])
def test_a_first_row_beyond_the_limit_is_a_listing_day(reference, new):
    """STAR stocks have no limit on their first five days; no listing table says when these were."""
    days = trading_days("2021-03-01", "2021-03-31")
    close = np.full((len(days), 2), 10.0)
    keep = np.ones(close.shape, bool)
    keep[:6, 1] = False
    close[8:, 1] = 13.5  # 35% more on the third day
    high, low, before = close * 1.01, close * 0.99, np.vstack([close[:1], close[:-1]])
    if new and reference:
        before[6, 1] = 4.0
    elif new:
        low[6, 1] = 6.0
    symbol, date = np.broadcast_arrays(np.arange(2), days[:, None])
    columns = {"open": close, "high": high, "low": low, "close": close, "volume": np.full(close.shape, 1e5)}
    columns |= {"prev_close": before} if reference else {}
    axis = np.array(["688001.SH", "688999.SH"], dtype=object)
    panel = build_panel(
        DailyRows(axis, symbol[keep].astype(np.int32), date[keep], {n: v[keep] for n, v in columns.items()})
    )
    limit, beyond = of_stock(panel, "up_limit", 1)[6:], panel.notes.get("return_beyond_limit", "")
    if new:
        assert np.isnan(limit[:5]).all()
        np.testing.assert_array_equal(limit[5:], 16.2)
        assert panel.notes["listing_days_by_price"].startswith("1 stocks without a listing day")
        assert not beyond
    else:
        assert limit[1] == 12.0
        assert "688999.SH" in beyond
        assert "listing_days_by_price" not in panel.notes
