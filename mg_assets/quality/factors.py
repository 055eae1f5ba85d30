"""Suites of factors and labels."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from mg_assets.factors.own import PREFIX, SCORES
from mg_assets.factors.registry import ALL34, HF27, own_factors
from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import View, fits_schema
from mg_assets.market.calendar import shift
from mg_assets.quality import daily_factors, drift, shared_checks
from mg_assets.quality.suite import Check, Limit, Measures, Suite

LOOK_BACK = 60
ENOUGH = 10  # past days that drift needs
LABELLED_SHARE = 0.5
HORIZONS = (5, 10, 20)
SECTION = 50  # stocks that a PSI needs: with fewer, chance alone moves it past 0.2
ROUNDING = 1e-6

RAW_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "ranges",
        "No infinite value; correlations in [-1, 1], volume and volatility shares in [0, 1]",
        (Limit("infinite"), Limit("outside_range")),
    ),
    Check(
        "nulls",
        "No factor's null share is 10 points above the median of its last 60 days",
        (Limit("null_share_rise", None, 0.1),),
        blocking=False,
    ),
    Check(
        "drift",
        "At most a quarter of the factors have a PSI above 0.5 against their last 60 days, and none above 5",
        (Limit("drifted_share", None, 0.25), Limit("psi_max", None, 5.0)),
        blocking=False,
    ),
    shared_checks.COVERAGE,
    shared_checks.SIZE_BAND,
)
SECTION_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "standardised",
        "Every factor's cross-section is finite, of mean 0 and of a deviation of at most 1",
        (Limit("not_finite"), Limit("mean_gap", None, ROUNDING), Limit("deviation", None, 1 + ROUNDING)),
    ),
    Check(
        "filled",
        "No factor's share of exact zeros (filled values) is 10 points above the median of its last 60 days",
        (Limit("zero_share_rise", None, 0.1),),
        blocking=False,
    ),
    shared_checks.SIZE_BAND,
)
LABEL_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "ranges",
        "No infinite return, none at or below -100% or above 1,000%",
        (Limit("infinite"), Limit("outside_range")),
    ),
    Check(
        "finite_share",
        "Once the days of entry and exit are in the lake, at least half of the stocks have a label",
        tuple(Limit(f"finite_share_{h}", LABELLED_SHARE, None) for h in HORIZONS),
    ),
    shared_checks.SIZE_BAND,
)
OWN_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "ranges",
        "No infinite value, and none outside the bounds that the factor states",
        (Limit("infinite"), Limit("outside_range")),
    ),
    Check(
        "nulls",
        "The null share is at most 10 points above the median of its last 60 days",
        (Limit("null_share_rise", None, 0.1),),
        blocking=False,
    ),
    Check("drift", "A PSI of at most 5 against its last 60 days", (Limit("psi_max", None, 5.0),), blocking=False),
    shared_checks.COVERAGE,
    shared_checks.SIZE_BAND,
)
SHARES = ("down_vol_perc", "bigorder_amt_perc", "early_bigorder_buy_perc", "early_active_buy_perc",
          "tail_volume_share", *(f"volume_perc{k}" for k in range(2, 8)))  # fmt: skip


@cache
def intraday_bounds(name: str) -> tuple[float, float]:
    """Range that a factor's formula allows."""
    if name.startswith(("corr_", "early_corr_")):
        return -1.0, 1.0
    if name in SHARES:
        return 0.0, 1.0
    return -np.inf, np.inf


def _columns(table: str) -> tuple[str, ...]:
    if table in daily_factors.TABLES:
        return daily_factors.columns_of(table)
    if table == SCORES:
        return tuple(own_factors())
    if table.startswith(PREFIX):
        return (table.removeprefix(PREFIX),)
    return HF27 if table == "factor_inputs" else ALL34


def _bounds(table: str, column: str) -> tuple[float, float]:
    """Range that the formula of a raw factor allows."""
    if table in daily_factors.TABLES:
        return daily_factors.daily_bounds(table, column)
    return own_factors()[column].bounds if table.startswith(PREFIX) else intraday_bounds(column)


def own_suite(table: str) -> Suite | None:
    """The suite of a table of the user's own factors; None of another table."""
    if table == SCORES:
        return Suite(table, SECTION_CHECKS, measure_section)
    if not table.startswith(PREFIX) or table.removeprefix(PREFIX) not in own_factors():
        return None
    return Suite(table, OWN_CHECKS, measure_raw)


def _sketch(lake: Lake, table: str, key: str) -> drift.Sketch:
    columns = _columns(table)
    if not fits_schema(lake, table, key, shared_checks.float_schema(columns)):
        return drift.sketch(np.empty((0, len(columns))))
    return drift.sketch(lake.day(table, key, list(columns)).to_numpy(np.float64))


def measure_raw(view: View, measures: Measures) -> None:
    """Measures of a day's raw factors."""
    columns = _columns(view.table)
    frame = shared_checks.read_checked(view, measures, columns, shared_checks.float_schema(columns))
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    values = frame[list(columns)].to_numpy(np.float64)  # (S, F)
    symbol = frame["symbol"].to_numpy(dtype=object)
    low, high = np.array([_bounds(view.table, c) for c in columns]).T
    with np.errstate(invalid="ignore"):
        _cells(measures, "infinite", np.isinf(values), values, symbol, columns)
        outside = (values < low - ROUNDING) | (values > high + ROUNDING)
        _cells(measures, "outside_range", outside & np.isfinite(values), values, symbol, columns)
    now = drift.sketch(values)
    view.run.cached(("sketch", view.key), lambda: now)
    if len(frame):
        past = [s for s in view.trailing(LOOK_BACK, _sketch, "sketch") if s.count.any()]
        if len(past) >= ENOUGH:
            names = {"factor": np.array(columns, object)}
            rise = now.null_share - np.median([s.null_share for s in past], axis=0)
            measures.worst("null_share_rise", rise, {**names, "null_share": now.null_share})
            if len(frame) >= SECTION:
                moved = drift.psi(values, past, ENOUGH)
                measures.worst("psi_max", moved, names)
                if np.isfinite(moved).any():
                    drifted = np.isfinite(moved) & (moved > 0.5)
                    worst = [columns[i] for i in np.argsort(-np.nan_to_num(moved))[:5]]
                    measures.put("drifted_share", drifted.sum() / np.isfinite(moved).sum(), most=", ".join(worst))
    shared_checks.measure_coverage(view, measures, symbol)
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())


def _cells(
    measures: Measures, name: str, bad: np.ndarray, values: np.ndarray, symbol: np.ndarray, columns: Sequence[str]
) -> None:
    """Count cells of a cross-section and keep the first."""
    row, column = np.nonzero(bad)
    measures.add(name, len(row))
    for r, c in zip(row[:5], column[:5], strict=True):
        example = {"row": int(r) + 1, "symbol": symbol[r], "column": columns[c], "value": str(values[r, c])}
        measures.examples.setdefault(name, []).append(example)


def _zero_share(lake: Lake, table: str, key: str) -> np.ndarray:
    columns = _columns(table)
    if not fits_schema(lake, table, key, shared_checks.float_schema(columns)):
        return np.full(len(columns), np.nan)
    values = lake.day(table, key, list(columns)).to_numpy(np.float64)
    return (values == 0).mean(axis=0) if len(values) else np.full(len(columns), np.nan)


def measure_section(view: View, measures: Measures) -> None:
    """Measures of a day's preprocessed cross-sections."""
    columns = _columns(view.table)
    frame = shared_checks.read_checked(view, measures, columns, shared_checks.float_schema(columns))
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    values = frame[list(columns)].to_numpy(np.float64)
    names = {"factor": np.array(columns, object)}
    _cells(measures, "not_finite", ~np.isfinite(values), values, frame["symbol"].to_numpy(), columns)
    if len(frame):
        clean = np.where(np.isfinite(values), values, 0.0)
        measures.worst("mean_gap", np.abs(clean.mean(axis=0)), names)
        measures.worst("deviation", clean.std(axis=0), names)
        now = (values == 0).mean(axis=0)
        view.run.cached(("zeros", view.key), lambda: now)
        past = [z for z in view.trailing(LOOK_BACK, _zero_share, "zeros") if np.isfinite(z).any()]
        if len(past) >= ENOUGH:
            measures.worst("zero_share_rise", now - np.median(past, axis=0), {**names, "zero_share": now})
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())


def measure_labels(view: View, measures: Measures) -> None:
    """Measures of a day's labels."""
    columns = tuple(f"ret_{h}" for h in HORIZONS)
    frame = shared_checks.read_checked(view, measures, columns, shared_checks.float_schema(columns))
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    values = frame[list(columns)].to_numpy(np.float64)
    symbol = frame["symbol"].to_numpy(dtype=object)
    _cells(measures, "infinite", np.isinf(values), values, symbol, columns)
    with np.errstate(invalid="ignore"):
        outside = np.isfinite(values) & ((values <= -1) | (values > 10))
    _cells(measures, "outside_range", outside, values, symbol, columns)
    bars = set(view.run.keys("daily_bars"))
    entered = bool(bars) and str(shift(view.key, 1)) in bars
    for h, column in zip(HORIZONS, values.T, strict=True):
        if len(frame) and entered and str(shift(view.key, h + 1)) in bars:
            measures.put(f"finite_share_{h}", np.isfinite(column).mean(), stocks=len(frame))
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())


INTRADAY_FACTORS = Suite("intraday_factors", RAW_CHECKS, measure_raw)
FACTOR_INPUTS = Suite("factor_inputs", SECTION_CHECKS, measure_section)
FACTOR_SCORES = Suite("factor_scores", SECTION_CHECKS, measure_section)
LABELS = Suite("labels", LABEL_CHECKS, measure_labels)
DAILY = tuple(Suite(name, daily_factors.CHECKS, measure_raw) for name in daily_factors.TABLES)
