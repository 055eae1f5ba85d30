"""Labels leave out returns across days on which the adjusted price jumps, and keep those that the market made."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.assets.labels import HORIZONS, labels
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import shift, trading_days
from mg_assets.market.jumps import price_jumps
from mg_assets.orchestration.partition_build import Build
from mg_assets.sources.base import stored_notes
from mg_assets.sources.daily.history import DailyHistory
from mg_assets.sources.daily.panel import build_panel
from mg_assets.sources.daily.vetting import DailyRows

DAYS = trading_days("2018-06-01", "2018-08-31")[:48]
AT = 24
"""Day of each stock's event."""


def quiet(close, factor, keep):
    """Nothing happens."""


def renamed(close, factor, keep):
    factor[AT:] = 6.4


def off_for_a_day(close, factor, keep):
    factor[AT] = 0.16


def unadjusted(close, factor, keep):
    close[AT:] *= 0.5


def unadjusted_in_a_halt(close, factor, keep):
    keep[AT - 8 : AT] = False
    close[AT:] *= 0.5


def split(close, factor, keep):
    close[AT:] *= 0.5
    factor[AT:] = 2.0


def split_in_a_halt(close, factor, keep):
    keep[AT - 8 : AT] = False
    split(close, factor, keep)


def back_at_the_limit(close, factor, keep):
    keep[AT - 8 : AT] = False
    close[AT:] *= 0.905 * close[AT - 9] / close[AT]


JUMPS = {renamed: [AT], off_for_a_day: [AT, AT + 1], unadjusted: [AT], unadjusted_in_a_halt: [AT]}
"""Days of each event that no label may cross."""
EVENTS = (quiet, *JUMPS, split, split_in_a_halt, back_at_the_limit)
NAMES = [f"60000{i}.SH" for i in range(len(EVENTS))]
SHOWN = range(4, AT + 2)
"""Days with labels."""


def history(axis, days, close, factor, keep, listed=None):
    """Daily bars ``(D, S)`` as a source without reference prices reads them."""
    symbol, date = np.broadcast_arrays(np.arange(len(axis)), days[:, None])
    columns = {n: close[keep] for n in ("open", "high", "low", "close")}
    columns |= {"volume": np.full(int(keep.sum()), 1e5), "adj_factor": factor[keep]}
    panel = build_panel(DailyRows(np.array(axis, object), symbol[keep].astype(np.int32), date[keep], columns), listed)
    return DailyHistory(panel, {} if listed is None else {"list_date": listed})


def lake_of(folder, source, days):
    lake = Lake(folder)
    for day in days:
        for table in ("daily_bars", "reference"):
            loaded = source.load(table, day, "test")
            lake.write(table, str(day), loaded.frame, stored_notes(loaded))
    return lake


def built(lake, *keys):
    """Partitions of some days, and their labels by symbol."""
    made = list(labels.make(Build(list(keys), lake, lambda: None, 1, lambda: "cpu", print)))
    return made, {b.key: b.frame.set_index("symbol") for b in made}


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Adjusted prices of a stock for each event, a lake that holds them, and its labels."""
    rng = np.random.default_rng(1)
    shape = (len(DAYS), len(EVENTS))
    close = np.round(20 * np.cumprod(1 + rng.uniform(-0.01, 0.01, shape), axis=0), 2)
    factor, keep = np.ones(shape), np.ones(shape, bool)
    before = close.copy()
    for i, event in enumerate(EVENTS):
        event(close[:, i], factor[:, i], keep[:, i])
    source = history(NAMES, DAYS, np.round(close, 2), factor, keep)
    lake = lake_of(tmp_path_factory.mktemp("labels"), source, DAYS[SHOWN[0] :])
    jumpy = [event in JUMPS for event in EVENTS]
    price = np.where(jumpy, before, np.round(close, 2) * factor)
    return price, keep, lake, built(lake, *map(str, DAYS[SHOWN]))


@pytest.mark.parametrize("event", EVENTS)
def test_labels_are_returns_of_the_market_or_none(market, event):
    price, keep, _, (_, found) = market
    stock = EVENTS.index(event)
    for t in SHOWN:
        for h in HORIZONS:
            got = found[str(DAYS[t])].loc[NAMES[stock], f"ret_{h}"]
            entry, leave = t + 1, t + 1 + h
            crossed = any(entry < day <= leave for day in JUMPS.get(event, ()))
            if crossed or leave >= len(DAYS) or not (keep[entry, stock] and keep[leave, stock]):
                assert np.isnan(got), (t, h)
            else:
                assert got == pytest.approx(price[leave, stock] / price[entry, stock] - 1, abs=2e-3), (t, h)


def test_partitions_say_whose_labels_were_left_out(market):
    _, keep, _, (parts, _) = market
    for t, part in zip(SHOWN, parts, strict=True):
        lost = [
            NAMES[i]
            for i, event in enumerate(EVENTS)
            if keep[t + 1, i]
            and any(
                t + 1 < day <= t + 1 + h < len(DAYS) and keep[t + 1 + h, i]
                for day in JUMPS.get(event, ())
                for h in HORIZONS
            )
        ]
        assert part.metadata["left_out_for_price_jumps"] == len(lost), t
        assert part.metadata.get("stocks_with_price_jumps", "") == ", ".join(lost)
        assert part.stored == ({"left_out_for_price_jumps": lost} if lost else {})


def test_days_built_alone_equal_days_built_together(market):
    *_, lake, (_, found) = market
    for t in (SHOWN[0], AT - 9, AT - 1):
        key = str(DAYS[t])
        pd.testing.assert_frame_equal(built(lake, key)[1][key], found[key])


@pytest.mark.parametrize(
    ("halt", "moved", "factor", "jump"),
    [
        (25, 4.9, 1.0, False),  # the first day of a stock relisted
        (25, 0.2, 3.5, False),  # and of one restructured: its factor moved
        (25, 0.5, 1.0, True),  # an ex-day without a factor
        (25, 0.91, 1.0, False),
        (5, 1.9, 1.0, True),  # a short halt changes no limit
        (0, 1.9, 1.0, True),
        (0, 0.5, 2.0, False),
    ],
)
def test_the_day_back_from_a_long_halt_has_no_limit(halt, moved, factor, jump):
    days = DAYS[:40]
    close, factors, traded = np.full((40, 1), 10.0), np.ones((40, 1)), np.ones((40, 1), bool)
    traded[30 - halt : 30] = False
    close[30:], factors[30:] = 10.0 * moved, factor
    flags, session = np.zeros((40, 1), bool), np.full((40, 1), 999)
    found = price_jumps(np.array(NAMES[:1]), days, close, factors, traded, flags, session)
    assert np.flatnonzero(found).tolist() == ([30] if jump else [])


def test_first_sessions_without_a_limit_are_no_jumps(tmp_path):
    """A STAR stock doubles on its third day: only its listing day shows that this is no jump."""
    days = trading_days("2021-03-01", "2021-04-01")[:13]
    close, keep = np.full((13, 2), 10.0), np.ones((13, 2), bool)
    keep[:5, 1] = False
    close[7:, 1] = 25.0
    key = str(days[5])
    for listed, lost in ((days[5], 0), (days[0], 1)):
        source = history(["600000.SH", "688001.SH"], days, close, np.ones((13, 2)), keep, np.array([days[0], listed]))
        (part,), found = built(lake_of(tmp_path / str(lost), source, days[5:]), key)
        assert part.metadata["left_out_for_price_jumps"] == lost
        assert found[key].loc["688001.SH", "ret_5"] == pytest.approx(np.nan if lost else 1.5, nan_ok=True)


REAL = {
    "000043 became 001914, its factor starts again": ("SZ001914", "2019-06-06", True),
    "an ex-day without a factor": ("SZ001914", "2011-06-16", True),
    "a factor a day late": ("SZ003038", "2022-03-29", True),
    "a factor that steps where the price does not": ("SZ000001", "2020-12-31", True),
    "ten for ten, the factor right": ("SZ002415", "2012-06-13", False),
}


@pytest.mark.parametrize("case", REAL)
def test_labels_of_the_real_panel(shared_data, tmp_path, case):
    symbol, day, lost = REAL[case]
    rows = of_real_stock(shared_data, symbol, shift(day, -30), shift(day, 40))
    name, eve = rows.axis[0], str(shift(day, -3))
    source = DailyHistory(build_panel(rows))
    lake = lake_of(tmp_path, source, [d for d in source.panel.days if eve <= str(d) <= str(shift(day, 8))])
    parts, found = built(lake, eve, day)
    assert np.isfinite(found[day].loc[name, "ret_5"])
    assert np.isnan(found[eve].loc[name, "ret_5"]) == lost
    assert parts[0].metadata["left_out_for_price_jumps"] == lost


@pytest.mark.parametrize(
    ("symbol", "day", "jump"),
    [
        ("SZ000670", "2022-08-22", False),  # back after 590 sessions at five times the price
        ("SH600733", "2018-09-27", False),  # reformed, its factor 3.5
        ("SZ000670", "2014-07-15", True),  # an ex-day in a halt
    ],
)
def test_days_back_on_the_real_panel(shared_data, symbol, day, jump):
    rows = of_real_stock(shared_data, symbol, "2012-01-04", "2023-12-29")
    days = trading_days(str(rows.date[0]), str(rows.date[-1]))
    at = np.searchsorted(days, rows.date)
    close, factor = np.full((2, len(days), 1), np.nan)
    close[at, 0], factor[at, 0] = rows.columns["close"], rows.columns["adj_factor"]
    traded = np.zeros(close.shape, bool)
    traded[at, 0] = rows.columns["volume"] > 0
    found = price_jumps(rows.axis, days, close, factor, traded, np.zeros(close.shape, bool), np.full(close.shape, 9999))
    assert found[np.searchsorted(days, np.datetime64(day)), 0] == jump
    assert found.sum() <= 2


def of_real_stock(folder, symbol, first, last):
    """Rows of one stock of the real panel."""
    path = folder / "daily_alla_2010_2023" / "daily.parquet"
    if not path.exists():
        pytest.skip(f"{path} absent")
    span = [("symbol", "=", symbol), ("date", ">=", pd.Timestamp(str(first))), ("date", "<=", pd.Timestamp(str(last)))]
    rows = pd.read_parquet(path, filters=span).sort_values("date")
    columns = {n: rows[f"{n}_milli"].to_numpy() / 1000 for n in ("open", "high", "low", "close")}
    columns |= {"volume": rows["volume"].to_numpy(float), "adj_factor": rows["factor"].to_numpy(float)}
    axis = np.array([f"{symbol[2:]}.{symbol[:2]}"], object)
    return DailyRows(axis, np.zeros(len(rows), np.int32), rows["date"].to_numpy("datetime64[D]"), columns)
