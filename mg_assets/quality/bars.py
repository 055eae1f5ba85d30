"""Suites of the bars: minute, daily, weekly and monthly."""

import datetime as dt

import numpy as np
import pandas as pd

from mg_assets.lake.table_view import PartitionReader, View, encode, fits_schema, numbers
from mg_assets.market.rules import board_codes, limit_percent, price_limits, unknown_rules
from mg_assets.market.schema import SCHEMAS
from mg_assets.market.sessions import trades_after_close
from mg_assets.quality import shared_checks
from mg_assets.quality.kernels import bars as kernels
from mg_assets.quality.kernels import marks
from mg_assets.quality.returns import RETURNS, measure_returns
from mg_assets.quality.scans import day_limits, keep_marks, since_midnight, unsorted_symbols
from mg_assets.quality.session import SESSION, SessionRows, measure_session
from mg_assets.quality.suite import Check, Limit, Measures, Suite
from mg_assets.sources.daily.mapping import VOLUME_STEP

SINGLE_PRECISION = 2.0**-23  # some vendors store the day's volume as float32: 4 shares of 165 million
UNLIMITED_SHARE = 0.02
OFF_TICK_SHARE = 0.005
MANY = 100  # traded stocks that a share of them needs
FEW = 10  # traded stocks that are not all in their first days
BEYOND = 0.01  # relative; a price adjusted and rounded back misses its limit by less
AMOUNT = 1e-9  # relative; the order of summation alone moves the last digits
ALONE_SHARE = 0.1  # a vendor without Beijing has minute bars of 95% of the stocks
VOLUME_UNITS = (100, 10)  # shares: what vendors of daily bars round volumes to
AMOUNT_UNITS = (1000, 100, 10, 1)  # yuan: and amounts

ODD_BARS = ("bad_ohlc", "bad_vwap", "off_tick", "outside_limits")
ODD_STOCKS = ("bad_ohlc", "bad_vwap", "outside_limits", "bad_shares", "limits_crossed", "traded_suspended")
DIFFERENCES = ("volume_differs", "amount_differs", "price_differs")
MINUTE_CHECKS = (
    shared_checks.SCHEMA,
    Check(
        "grid",
        "Every symbol has the minutes 0 to 239 once, symbols and minutes ascending",
        (Limit("bad_grid"), Limit("unsorted")),
    ),
    Check(
        "ohlc",
        "Low <= open, close <= high and average price between low and high (where the source rounds volumes: for some "
        f"volume that rounds to the stated one) in all but {shared_checks.ODD_SHARE:.0%} of the bars with trades; no "
        "negative volume, amount or count; a bar without trades repeats the last close with amount 0",
        (*shared_checks.share_limits("bad_ohlc", "bad_vwap"), *map(Limit, ("negative", "bad_empty", "no_price"))),
    ),
    Check(
        "price_limits",
        f"Prices on the 0.01 tick and inside the day's limits in all but {shared_checks.ODD_SHARE:.0%} of the bars",
        shared_checks.share_limits("off_tick", "outside_limits"),
    ),
    Check(
        "odd_bars",
        "No bar at all contradicts itself, lies off the tick or outside the limits",
        tuple(map(Limit, ODD_BARS)),
        blocking=False,
    ),
    Check(
        "matches_trades",
        "Each stock's volume, amount and number of trades are those of its trades",
        (Limit("volume_differs"), Limit("amount_differs"), Limit("count_differs")),
    ),
    SESSION,
    shared_checks.COVERAGE,
    shared_checks.SIZE_BAND,
    shared_checks.QUARANTINE_SHARE,
)
OHLC = Check(
    "ohlc",
    "Low <= open, close <= high and average price between low and high, for all but one stock or "
    f"{shared_checks.ODD_SHARE:.0%} of them; no negative volume or amount; a traded stock has prices",
    (*shared_checks.share_limits("bad_ohlc", "bad_vwap"), Limit("negative"), Limit("no_price")),
)
DAILY_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    OHLC,
    Check(
        "price_limits",
        f"Prices inside the day's limits, for all but one stock or {shared_checks.ODD_SHARE:.0%} of them; limits are "
        f"missing for at most {UNLIMITED_SHARE:.0%} of the traded stocks (first days, and derived limits that trading "
        f"contradicts); at most {OFF_TICK_SHARE:.1%} off the 0.01 tick",
        (
            *shared_checks.share_limits("outside_limits"),
            Limit("unlimited_share", None, UNLIMITED_SHARE),
            Limit("off_tick_share", None, OFF_TICK_SHARE),
        ),
    ),
    Check(
        "tick",
        "Every price on the 0.01 tick; panels that were adjusted and rounded back lose it on a few days",
        (Limit("off_tick"),),
        blocking=False,
    ),
    Check(
        "attributes",
        "Adjustment factor above 0; float shares above 0, limits around the reference price and no trade while "
        f"suspended, for all but one stock or {shared_checks.ODD_SHARE:.0%} of them",
        (Limit("bad_factor"), *shared_checks.share_limits("bad_shares", "limits_crossed", "traded_suspended")),
    ),
    Check(
        "matches_minutes",
        "Volume and amount (to the unit that all daily ones are multiples of), open, high, low and close are those of "
        f"the minute bars, for all but one stock or {shared_checks.ODD_SHARE:.0%} of those that have both; at most "
        f"{ALONE_SHARE:.0%} have one of the two alone, or more than half (two sources of different stocks)",
        (*shared_checks.share_limits(*DIFFERENCES), *shared_checks.share_limits("alone", share=ALONE_SHARE)),
    ),
    Check(
        "odd_stocks",
        "No stock at all contradicts itself, its limits or its minute bars, or has one of daily and minute bars alone",
        tuple(map(Limit, (*ODD_STOCKS, *DIFFERENCES, "alone"))),
        blocking=False,
    ),
    Check(
        "continuity",
        "The reference price is the last close times the ratio of adjustment factors, to the tick",
        (Limit("jump_share", None, 0.01),),
        blocking=False,
    ),
    RETURNS,
    shared_checks.COVERAGE,
    shared_checks.SIZE_BAND,
    shared_checks.QUARANTINE_SHARE,
)
PERIOD_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    OHLC,
    Check(
        "matches_daily",
        "Amount is the sum, high and low the extremes of the period's adjusted daily bars",
        (Limit("amount_differs"), Limit("price_differs")),
    ),
    Check("odd_stocks", "No stock at all contradicts itself", tuple(map(Limit, ODD_STOCKS[:2])), blocking=False),
    shared_checks.SIZE_BAND,
)
PRICE_COLUMNS = ("open", "high", "low", "close")
NULLABLE = ("open", "high", "low", "close", "vwap", "amount", "num_trades", "prev_close", "up_limit", "down_limit",
            "suspended", "st", "float_shares")  # fmt: skip


def measure_minutes(view: View, measures: Measures) -> None:
    """Measures of a day's minute bars."""
    with PartitionReader(view.lake, view.table, view.key) as rows:
        if not shared_checks.measure_schema(measures, rows.schema, SCHEMAS["minute_bars"], rows.count):
            return
        met: list[np.ndarray] = []
        totals: list[pd.DataFrame] = []
        session = SessionRows()
        step, traded = _volume_step(view), 0
        for offset, part in rows.batches(SCHEMAS["minute_bars"].names):
            shared_checks.measure_nulls(measures, part, ("open", "high", "low", "close", "num_trades"), offset)
            codes, words = encode(part["symbol"])
            met.append(unsorted_symbols(measures, codes, words, offset, met[-1][-1] if met else None))
            up, down = day_limits(view, measures, words)
            volume, amount, count = (numbers(part[c], m) for c, m in (("volume", 0), ("amount", 0), ("num_trades", -1)))
            found = marks.no_marks(kernels.BAR_RULES)
            open_, high, low, close = (numbers(part[c]) for c in PRICE_COLUMNS)
            minute = numbers(part["minute"], -1)
            kernels.scan_bars(codes, minute, open_, high, low, close, volume, amount, count, up, down, step, found)
            keep_marks(measures, kernels.BAR_RULES, found, part, offset)
            counts = np.where(np.minimum(count, 0).any(), np.nan, 1.0) * np.maximum(count, 0)
            totals.append(_by_symbol(codes, words, volume, amount, counts))
            session.add_bars(codes, words, minute, volume)
            traded += int(np.count_nonzero(volume > 0))
    present = np.unique(np.concatenate(met).astype(str)) if met else np.array([], str)
    if totals:
        whole = pd.concat(totals)
        shared_checks.measure_shares(measures, ODD_BARS, traded)
        _match_trades(view, measures, whole)
        measure_session(view, measures, session)
    shared_checks.measure_coverage(view, measures, present)
    shared_checks.measure_size_band(view, measures, rows.count, len(present))
    shared_checks.measure_quarantine_share(view, measures, rows.count)


def _volume_step(view: View) -> int:
    """Shares to whose multiples the volumes of the day's minute bars are rounded: 1 unless their source says so."""
    return int(view.lake.metadata("minute_bars", view.key).get(VOLUME_STEP, 1))


def _by_symbol(codes: np.ndarray, words: np.ndarray, *columns: np.ndarray) -> pd.DataFrame:
    """Sums of columns by symbol; float64 holds a day's shares exactly."""
    sums = [np.bincount(codes[codes >= 0], weights=c[codes >= 0], minlength=len(words)) for c in columns]
    present = np.bincount(codes[codes >= 0], minlength=len(words)) > 0
    frame = pd.DataFrame(dict(zip(("volume", "amount", "num_trades"), sums, strict=True)), index=words)
    return frame[present]


def _match_trades(view: View, measures: Measures, bars: pd.DataFrame) -> None:
    """Compare each stock's totals with those of its trades."""
    if not view.has("trades") or not fits_schema(view.lake, "trades", view.key):
        return
    parts = []
    with PartitionReader(view.lake, "trades", view.key) as rows:
        for _, part in rows.batches(("symbol", "time", "price", "volume")):
            codes, words = encode(part["symbol"])
            total, amount, count = kernels.trade_totals(
                codes, since_midnight(view, part), numbers(part["price"]), numbers(part["volume"]), len(words)
            )
            parts.append(pd.DataFrame({"volume": total, "amount": amount, "num_trades": count}, index=words)[count > 0])
    if not parts:
        measures.notes.append("trades are empty that day: bars come from the source")
        return
    trades = pd.concat(parts)
    none = dict.fromkeys(("volume", "amount", "volume_trades", "amount_trades", "num_trades_trades"), 0)
    both = bars.join(trades.add_suffix("_trades"), how="outer").fillna(none)
    shown = {c: both[c].to_numpy() for c in both.columns}
    symbol = both.index.to_numpy(dtype=object)
    for name, column, tolerance in (
        ("volume_differs", "volume", 0.0),
        ("amount_differs", "amount", AMOUNT),
        ("count_differs", "num_trades", 0.0),
    ):
        ours, theirs = shown[column], shown[f"{column}_trades"]
        bad = np.abs(ours - theirs) > tolerance * np.abs(theirs) + (1e-6 if tolerance else 0.0)
        measures.rows(name, bad, symbol=symbol, bars=ours, trades=theirs)


def _ohlc(measures: Measures, frame: pd.DataFrame) -> None:
    """Measures of consistent prices, one row a stock."""
    o, h, low, c, vwap = (frame[n].to_numpy(np.float64) for n in ("open", "high", "low", "close", "vwap"))
    volume = frame["volume"].to_numpy(np.float64, na_value=np.nan)
    slack = 1e-9 * np.abs(c) + marks.TOLERANCE
    shown = {n: frame[n].to_numpy() for n in ("symbol", "open", "high", "low", "close", "vwap", "volume")}
    bad = (low > np.fmin(o, c) + slack) | (h < np.fmax(o, c) - slack) | (low <= 0)
    measures.rows("bad_ohlc", bad, **shown)
    measures.rows("negative", (volume < 0) | (frame["amount"].to_numpy(np.float64) < 0), **shown)
    measures.rows("no_price", (volume > 0) & ~np.isfinite(o + h + low + c), **shown)
    cent = kernels.CENT + 1e-4 * np.abs(c)  # adjusted prices may be a hundred times raw ones
    measures.rows("bad_vwap", (volume > 0) & ((vwap < low - cent - slack) | (vwap > h + cent + slack)), **shown)


def measure_daily(view: View, measures: Measures) -> None:
    """Measures of a day's daily bars."""
    frame = shared_checks.read_checked(view, measures, NULLABLE)
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    _ohlc(measures, frame)
    _daily_prices(view.day, measures, frame)
    factor, shares = frame["adj_factor"].to_numpy(np.float64), frame["float_shares"].to_numpy(np.float64)
    symbol = frame["symbol"].to_numpy(dtype=object)
    suspended = frame["suspended"].fillna(False).to_numpy(bool)
    volume = frame["volume"].to_numpy(np.float64, na_value=np.nan)
    measures.rows("bad_factor", ~(factor > 0), symbol=symbol, adj_factor=factor)
    measures.rows("bad_shares", shares <= 0, symbol=symbol, float_shares=shares)
    measures.rows("traded_suspended", suspended & (volume > 0), symbol=symbol, volume=volume)
    shared_checks.measure_shares(measures, ODD_STOCKS, np.count_nonzero(volume > 0))
    _match_minutes(view, measures, frame)
    _continuity(view, measures, frame)
    traded = frame["symbol"][~(suspended | ~(volume > 0))].to_numpy(dtype=object)
    shared_checks.measure_coverage(view, measures, traded if len(frame) else traded[:0])
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())
    shared_checks.measure_quarantine_share(view, measures, len(frame))


def _daily_prices(day: dt.date, measures: Measures, frame: pd.DataFrame) -> None:
    """Measures of tick and limits; a stock without trades carries a reference price that need not be on the tick."""
    traded = frame[frame["volume"] > 0]
    prices = traded[["open", "high", "low", "close"]].to_numpy(np.float64)
    shown = {n: traded[n].to_numpy() for n in ("symbol", "open", "high", "low", "close", "up_limit", "down_limit")}
    scaled = prices * marks.TICK
    off = np.abs(scaled - np.rint(scaled)) > marks.TOLERANCE * marks.TICK
    measures.rows("off_tick", off.any(axis=1), **shown)
    high, low = traded["high"].to_numpy(np.float64), traded["low"].to_numpy(np.float64)
    outside = (high > traded["up_limit"].to_numpy(np.float64) + marks.TOLERANCE) | (
        low < traded["down_limit"].to_numpy(np.float64) - marks.TOLERANCE
    )
    measures.rows("outside_limits", outside, **shown)
    quoted = traded["prev_close"].notna().to_numpy()
    free = quoted & (traded["up_limit"].isna() | traded["down_limit"].isna()).to_numpy()
    blank = traded["up_limit"].isna().all()
    if blank:  # of a source without limits, or derived ones that the prices of the whole market contradict
        measures.notes.append("no price limits that day")
        free &= _beyond_rules(day, traded)
    if quoted.sum() >= MANY or (blank and quoted.sum() >= FEW and free.sum() == quoted.sum()):
        which = ", ".join(traded["symbol"][free].iloc[:5])
        measures.put("unlimited_share", free.sum() / quoted.sum(), stocks=int(free.sum()), first=which)
    if len(traded) >= MANY:
        measures.put("off_tick_share", off.any(axis=1).mean(), stocks=int(off.any(axis=1).sum()))
    shared_checks.measure_crossed_limits(measures, frame)


def _beyond_rules(day: dt.date, traded: pd.DataFrame) -> np.ndarray:
    """Stocks with a price clearly outside the limits that their board sets around the reference price."""
    named = traded["symbol"].str.endswith((".SH", ".SZ", ".BJ")).fillna(False).to_numpy(bool)  # others: bad_symbol
    known = traded[named]
    board, st = board_codes(known["symbol"].to_numpy(dtype=object)), known["st"].fillna(False).to_numpy(bool)
    percent = limit_percent(board, np.full(len(known), day, "datetime64[D]"), st)
    up, down = price_limits(known["prev_close"].to_numpy(np.float64), *percent)
    high, low = known["high"].to_numpy(np.float64), known["low"].to_numpy(np.float64)
    out = np.zeros(len(traded), bool)
    out[named] = (high > up * (1 + BEYOND)) | (low < down * (1 - BEYOND))
    return out


def _match_minutes(view: View, measures: Measures, frame: pd.DataFrame) -> None:
    """Compare each stock's bar with its minute bars."""
    if not view.has("minute_bars") or not fits_schema(view.lake, "minute_bars", view.key):
        return
    parts = []
    with PartitionReader(view.lake, "minute_bars", view.key) as rows:
        for _, part in rows.batches(("symbol", *PRICE_COLUMNS, "volume", "amount")):
            codes, words = encode(part["symbol"])
            open_, high, low, close, volume, amount = (numbers(part[c]) for c in (*PRICE_COLUMNS, "volume", "amount"))
            totals = kernels.day_totals(codes, open_, high, low, close, volume, amount, len(words))
            parts.append((words[totals[:, 4] > 0], totals[totals[:, 4] > 0]))
    if not parts:
        return
    own = frame[frame["volume"] > 0]
    symbol = np.union1d(own["symbol"].to_numpy(str), np.concatenate([w for w, _ in parts]).astype(str))
    ours, theirs = (np.full((len(symbol), 6), np.nan) for _ in range(2))  # open, high, low, close, volume, amount
    ours[np.searchsorted(symbol, own["symbol"].to_numpy(str))] = own[[*PRICE_COLUMNS, "volume", "amount"]].to_numpy(
        np.float64
    )
    for words, totals in parts:
        theirs[np.searchsorted(symbol, words.astype(str))] = totals
    if text := unknown_rules(view.day):
        measures.notes.append(text)
    after_hours = trades_after_close(symbol, view.day)
    more = np.nan_to_num(ours[:, 4]) - np.nan_to_num(theirs[:, 4])
    slack = SINGLE_PRECISION * np.nan_to_num(theirs[:, 4]) + _below_unit(ours[:, 4], VOLUME_UNITS)
    step = _volume_step(view)
    if step > 1:
        slack += 0.5 * step * (kernels.MINUTES + 2)  # each bar and both auctions are rounded on their own
    both = np.isfinite(ours[:, 4]) & np.isfinite(theirs[:, 4])
    if not both.all():
        measures.notes.append(f"{(~both).sum()} of {len(both)} traded stocks have daily or minute bars alone")
    if both.mean() >= 0.5:  # else two sources of different stocks
        measures.rows("alone", ~both, symbol=symbol, daily=ours[:, 4], minutes=theirs[:, 4])
        shared_checks.measure_shares(measures, ("alone",), len(both))
    bad = np.where(after_hours, more < -slack, np.abs(more) > slack) & both
    measures.rows("volume_differs", bad, symbol=symbol, daily=ours[:, 4], minutes=theirs[:, 4])
    gap = np.abs(ours - theirs)
    slack = SINGLE_PRECISION * np.abs(theirs[:, 5]) + _below_unit(ours[:, 5], AMOUNT_UNITS)
    bad = (gap[:, 5] > slack + 1e-6) & ~(after_hours & (more > 0))
    measures.rows("amount_differs", bad, symbol=symbol, daily=ours[:, 5], minutes=theirs[:, 5])
    bad = (gap[:, :4] > marks.TOLERANCE).any(axis=1)
    measures.rows("price_differs", bad, symbol=symbol, **dict(zip(PRICE_COLUMNS, gap[:, :4].T, strict=True)))
    shared_checks.measure_shares(measures, DIFFERENCES, np.count_nonzero(both))


def _below_unit(values: np.ndarray, units: tuple[int, ...]) -> float:
    """How far values may be off if they are rounded to the coarsest unit that all of them are multiples of."""
    positive = values[values > 0]
    unit = next((u for u in units if len(positive) and np.all(np.abs(positive / u - np.rint(positive / u)) < 1e-6)), 0)
    return unit * (1 - 1e-6)


def _continuity(view: View, measures: Measures, frame: pd.DataFrame) -> None:
    """Share of stocks whose reference price does not follow from the last close and the adjustment factors."""
    before = view.run.before(view.key, 1)
    view.run.cached(("close", view.key), lambda: frame[["symbol", "close", "adj_factor"]])
    if not before:
        return
    if not fits_schema(view.lake, view.table, before[0]):
        return
    last = view.run.cached(
        ("close", before[0]), lambda: view.lake.day(view.table, before[0], ["symbol", "close", "adj_factor"])
    )
    measure_returns(view, measures, frame, last)
    both = frame[["symbol", "prev_close", "adj_factor"]].merge(last, on="symbol", suffixes=("", "_last"))
    implied = (both["close"] * both["adj_factor_last"] / both["adj_factor"]).to_numpy(np.float64)
    gap = np.abs(both["prev_close"].to_numpy(np.float64) - implied)
    both_days = np.isfinite(gap)
    if not both_days.any():
        return
    bad = both_days & (gap > kernels.CENT + 1e-3 * np.abs(implied))
    worst = np.argsort(-np.where(bad, gap / np.abs(implied), -1))[:1]
    measures.put("jump_share", bad.sum() / both_days.sum(), stocks=int(bad.sum()), worst=both["symbol"].iloc[worst[0]],
                 prev_close=both["prev_close"].iloc[worst[0]], implied=implied[worst[0]])  # fmt: skip


def measure_period(view: View, measures: Measures) -> None:
    """Measures of a week's or month's bars."""
    frame = shared_checks.read_checked(view, measures, NULLABLE)
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    _ohlc(measures, frame)
    shared_checks.measure_shares(measures, ("bad_ohlc", "bad_vwap"), np.count_nonzero(frame["volume"] > 0))
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())
    keys = view.run.keys("daily_bars")
    start = np.datetime64(view.key)
    end = start + 7 if view.table.startswith("weekly") else (start.astype("datetime64[M]") + 1).astype("datetime64[D]")
    days = [k for k in keys if str(start) <= k < str(end) and fits_schema(view.lake, "daily_bars", k)]
    if not days or not len(frame):
        return
    columns = ["symbol", "high", "low", "amount", "volume", "adj_factor"]
    daily = view.lake.read("daily_bars", days, columns)
    daily = daily[daily["volume"] > 0]
    daily = daily.assign(high=daily["high"] * daily["adj_factor"], low=daily["low"] * daily["adj_factor"])
    stocks = daily.groupby("symbol")
    own = stocks.agg(high=("high", "max"), low=("low", "min"), amount=("amount", "sum"))
    own.loc[stocks["amount"].count() < stocks.size(), "amount"] = np.nan  # the source has no amounts
    traded = frame.set_index("symbol")
    both = traded.loc[traded["volume"] > 0, ["high", "low", "amount"]].join(own.add_suffix("_daily"), how="outer")
    symbol = both.index.to_numpy(dtype=object)
    for name, columns in (("amount_differs", ["amount"]), ("price_differs", ["high", "low"])):
        ours = both[columns].to_numpy(np.float64)
        theirs = both[[f"{c}_daily" for c in columns]].to_numpy(np.float64)
        bad = np.abs(ours - theirs) > AMOUNT * np.abs(theirs) + marks.TOLERANCE
        lone = np.isnan(ours) != np.isnan(theirs) if name == "price_differs" else np.isnan(ours) & ~np.isnan(theirs)
        measures.rows(name, (bad | lone).any(axis=1), symbol=symbol, period=ours[:, 0], daily=theirs[:, 0])


MINUTE_BARS = Suite("minute_bars", MINUTE_CHECKS, measure_minutes)
DAILY_BARS = Suite("daily_bars", DAILY_CHECKS, measure_daily)
WEEKLY_BARS = Suite("weekly_bars", PERIOD_CHECKS, measure_period)
MONTHLY_BARS = Suite("monthly_bars", PERIOD_CHECKS, measure_period)
