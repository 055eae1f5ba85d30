"""Intraday factors, multi-granularity features and their cross-sectional forms."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from mg_assets import factors
from mg_assets.factors.cross_section import preprocess, trailing_mean
from mg_assets.factors.granular import (
    FEATURES,
    GRANULARITIES,
    HISTORY_DAYS,
    column_names,
    granular_features,
    minutes_of_bars,
    usual_levels,
)
from mg_assets.factors.kernels.clock import MINUTES
from mg_assets.factors.kernels.session import MINUTE_ARRAYS
from mg_assets.factors.registry import ALL34, FACTORS, HF27, MINUTE, MONITOR, ORDER, PASSPORTS, TRADE
from mg_assets.lake.dense_panel import DensePanel
from mg_assets.lake.store import Lake
from mg_assets.lake.universe import tradable_universe
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import shift, trading_days
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.lineage import same_columns
from mg_assets.orchestration.partition_build import Build, Built

MEAN_WINDOW = 20
_COLUMNS = {name: spec.summary for name, spec in FACTORS.items()}
_LEVELS = ("volume", "amount", "num_trades", "adj_factor")
_TOTALS = {"volume": "Shares traded", "amount": "Yuan traded", "num_trades": "Trades, null where a bar lacks them"}
_RELATIVE = ("volume_share", "amt_per_trade")  # in the daily bar to the usual of 20 days
_OF_THE_DAY = tuple(f for f in FEATURES if f not in _RELATIVE)
_WITHIN_DAY = tuple(t for t, n in GRANULARITIES.items() if n < MINUTES)


_INFO = ("industry", "st", "suspended", "float_shares", "list_date")
_MINUTES = ("trades", "orders", "minute_bars")


def _day_lineage(columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Lineage of columns of one day's pass, each given with its passport; other days' bars are not read."""
    found = {
        column: tuple(i for i in PASSPORTS[name].inputs if i.startswith(_MINUTES) or i == "daily_bars.prev_close")
        for column, name in columns.items()
    }
    return {"symbol": ("trades.symbol", "minute_bars.symbol"), **found}


def _step_names(table: str) -> dict[str, str]:
    """Feature of each column of a table of several bars a day."""
    steps = MINUTES // GRANULARITIES[table]
    names = [f for f in FEATURES for _ in range(steps)]
    return dict(zip(column_names(table), names, strict=True))


def _section_lineage(table: str, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Lineage of preprocessed factors: neutral to industry and size, over the tradable universe."""
    of_all = (*(f"reference.{c}" for c in _INFO), "daily_bars.close")
    return {"symbol": (f"{table}.symbol",), **{n: (f"{table}.{n}", *of_all) for n in names}}


def _feature_columns(table: str) -> dict[str, str]:
    steps = MINUTES // GRANULARITIES[table]
    bars = [""] if steps == 1 else [f"; bar {k} of {steps}" for k in range(1, steps + 1)]
    texts = [PASSPORTS[f].summary + bar for f in FEATURES for bar in bars]
    return dict(zip(column_names(table), texts, strict=True))


def _described(table: str) -> str:
    n = GRANULARITIES[table]
    return (
        f"The {len(FEATURES)} multi-granularity features (Haitong 2023, series 88), {MINUTES // n} bars of {n} "
        "minutes, raw; null where a stock had no trades.\n\n"
        + "\n".join(f"- `{f}`: {PASSPORTS[f].formula}" for f in FEATURES)
    )


@lake_asset(
    ("intraday_factors", "features_day", *_WITHIN_DAY),
    group={"intraday_factors": "factors"} | dict.fromkeys(("features_day", *_WITHIN_DAY), "features"),
    anchor="minute_bars",
    needs=[
        "trades",
        "orders",
        "minute_bars",
        UpstreamWindow("daily_bars", columns=(("symbol", 0), ("prev_close", 0))),
    ],
    kinds={"numba"},
    version="2",  # sums in the order of time
    columns={
        "intraday_factors": _COLUMNS,
        "features_day": {**{f: PASSPORTS[f].summary for f in _OF_THE_DAY}, **_TOTALS},
        **{table: _feature_columns(table) for table in _WITHIN_DAY},
    },
    lineage={
        "intraday_factors": _day_lineage({n: n for n in ALL34}),
        "features_day": _day_lineage({f: f for f in _OF_THE_DAY}) | same_columns("minute_bars", _TOTALS),
        **{table: _day_lineage(_step_names(table)) for table in _WITHIN_DAY},
    },
    description={
        "intraday_factors": f"The {len(ALL34)} intraday factors of every stock that traded: {len(MINUTE)} of minute "
        f"bars, {len(TRADE)} of trades, {len(ORDER)} of orders (Huatai 2023-12-08, charts 6, 25, 36) and the weekly "
        f"monitor's {len(MONITOR)} (Haitong 2023-12-15). Null where a table is absent.\n\n"
        + "\n".join(f"- `{n}` ({s.direction:+d}): {s.formula}" for n, s in FACTORS.items()),
        "features_day": f"What `features_240m` takes from the day itself: {len(_OF_THE_DAY)} of its {len(FEATURES)} "
        "features, and the totals that the others compare with the usual day. Apart, so that the pass over the ticks "
        "waits for no other day.",
        **{table: _described(table) for table in _WITHIN_DAY},
    },
)
def intraday_factors(build: Build) -> Iterator[Built]:
    """All intraday factors and the features of a day, from one pass over its ticks and bars."""
    lake = build.lake
    threads = build.workers if len(build.keys) == 1 else 1  # else so many days are made at once

    def make(key: str) -> list[Built]:
        files = [lake.file(table, key) for table in ("trades", "orders", "minute_bars")]
        found = factors.day_pass(*files, minutes=True, threads=threads)
        frame = found.factors.reset_index()
        share = float(frame[list(ALL34)].isna().to_numpy().mean()) if len(frame) else 1.0
        notes = {"symbols": len(frame), "null_share": round(share, 4)}
        return [Built(key, frame, notes, table="intraday_factors"), *_features(lake, key, found)]

    return build.each(make)


def _features(lake: Lake, key: str, found: factors.DayPass) -> Iterator[Built]:
    """The feature tables of a day: from its trades, or from its minute bars where it has no trades."""
    symbols, minutes, stated = found.symbols, found.minutes, np.full(len(found.symbols), np.nan)
    if not len(symbols) and found.rows.get("minute_bars"):
        symbols, minutes, stated = minutes_of_bars(lake.day("minute_bars", key))
    bars = lake.day("daily_bars", key, ["symbol", "prev_close"]).set_index("symbol")["prev_close"]
    prev_close = bars.reindex(symbols).to_numpy(float)
    unknown = np.full(len(symbols), np.nan)
    values = granular_features(minutes, np.where(prev_close > 0, prev_close, stated), unknown, unknown)
    day = pd.DataFrame(values.table("features_240m"), columns=list(FEATURES), dtype=float)[list(_OF_THE_DAY)]
    day.insert(0, "symbol", pd.Series(symbols, dtype="str"))
    yield _noted(key, day.assign(**_totals(minutes)), "features_day")
    for table in _WITHIN_DAY:
        yield _noted(key, by_symbol(symbols, values.table(table), column_names(table)), table)


def _totals(minutes: np.ndarray) -> dict[str, np.ndarray]:
    """Volume, amount and number of trades of the day, ``(S,)`` each, from minute arrays ``(S, 10, 240)``."""
    volume, amount, trades = (minutes[:, MINUTE_ARRAYS.index(n)] for n in _TOTALS)
    traded = volume > 0
    uncounted = (traded & ~(trades > 0)).any(axis=1)
    sums = [np.where(traded, x, 0.0).sum(axis=1) for x in (volume, amount, trades)]
    return dict(zip(_TOTALS, [*sums[:2], np.where(uncounted, np.nan, sums[2])], strict=True))


def _noted(key: str, frame: pd.DataFrame, table: str) -> Built:
    share = float(frame.drop(columns="symbol").isna().to_numpy().mean()) if len(frame) else 1.0
    return Built(key, frame, {"symbols": len(frame), "null_share": round(share, 4)}, table=table)


@lake_asset(
    "features_240m",
    group="features",
    anchor="features_day",
    needs=["features_day", UpstreamWindow("daily_bars", back=HISTORY_DAYS - 1)],
    columns=_feature_columns("features_240m"),
    lineage=same_columns("features_day", ("symbol", *_OF_THE_DAY))
    | {
        "volume_share": ("features_day.volume", "daily_bars.volume", "daily_bars.adj_factor"),
        "amt_per_trade": (
            *(f"features_day.{c}" for c in ("amount", "num_trades")),
            *(f"daily_bars.{c}" for c in ("volume", "amount", "num_trades")),
        ),
    },
    description=_described("features_240m"),
)
def features_240m(build: Build) -> Iterator[Built]:
    """The features of the whole day: those of the day itself, volume and amount per trade against the usual day's."""
    days = [str(d) for d in trading_days(shift(build.keys[0], 1 - HISTORY_DAYS), build.keys[-1])]
    bars = build.lake.panel("daily_bars", days, list(_LEVELS), missing="empty")
    index, levels = pd.Index(bars.symbols), usual_levels(*(bars[c] for c in _LEVELS))

    def make(key: str) -> Built:
        day = build.lake.day("features_day", key)
        at = index.get_indexer(day["symbol"])
        volume, per_trade = (np.append(level[days.index(key)], np.nan)[at] for level in levels)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = (
                day["volume"].to_numpy() / volume,
                day["amount"].to_numpy() / day["num_trades"].to_numpy() / per_trade,
            )
        relative = {name: np.where(np.isfinite(x), x, np.nan) for name, x in zip(_RELATIVE, shares, strict=True)}
        return _noted(key, day.assign(**relative)[["symbol", *FEATURES]], "features_240m")

    return build.each(make)


def by_symbol(symbols: np.ndarray, values: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Rows ``(S, F)`` with their symbols in front; the column is text also where there are no rows."""
    frame = pd.DataFrame(values, columns=list(names), dtype=float)
    frame.insert(0, "symbol", pd.Series(symbols, dtype="str"))
    return frame


def _attributes(lake: Lake, keys: list[str], symbols: np.ndarray) -> tuple[DensePanel, np.ndarray, np.ndarray]:
    """Daily attributes on the panel's axes, industry codes ``(D, S)`` (-1 unknown) and ln free-float cap ``(D, S)``."""
    info = lake.panel("reference", keys, _INFO, symbols)
    close = lake.panel("daily_bars", keys, ["close"], symbols, missing="empty")["close"]
    codes = pd.factorize(info["industry"].ravel(), sort=True)[0].reshape(info["industry"].shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log(info["float_shares"] * close)
    return info, codes, np.where(np.isfinite(size), size, np.nan)


def crosssections(
    build: Build, names: tuple[str, ...], values: np.ndarray, symbols: np.ndarray, rows: slice
) -> Iterator[Built]:
    """Preprocess each day's cross-section over the tradable universe (docs/daily_factors.md)."""
    info, industry, size = _attributes(build.lake, build.keys, symbols)
    universe = tradable_universe(build.keys, info)
    for d, (key, section) in enumerate(zip(build.keys, values[rows], strict=True)):
        sized = size[d] if np.isfinite(size[d]).any() else None
        inside = universe[d] & np.isfinite(section).any(axis=1)
        codes = industry[d] if sized is not None else None
        clean = preprocess(section, codes, sized, inside, threads=build.workers)
        frame = by_symbol(symbols[inside], clean[inside], names)
        note = {} if sized is not None else {"not neutralised": "no market cap this day"}
        yield Built(key, frame, {"symbols": int(inside.sum()), **note})


@lake_asset(
    "factor_inputs",
    group="features",
    anchor="intraday_factors",
    needs=["intraday_factors", "reference", "daily_bars"],
    kinds={"numba"},
    version="2",  # what is 0 but for rounding is 0
    columns={n: _COLUMNS[n] for n in HF27},
    lineage=_section_lineage("intraday_factors", HF27),
)
def factor_inputs(build: Build) -> Iterator[Built]:
    """The high-frequency factors of the day, winsorised (5 MAD), neutral to industry and ln cap, z-scored, missing 0.

    The input sequence of hf_gru. Over the tradable universe.
    """
    panel = build.lake.panel("intraday_factors", build.keys, list(HF27))
    yield from crosssections(build, HF27, panel.stack(HF27), panel.symbols, slice(None))


@lake_asset(
    "factor_scores",
    group="features",
    anchor="intraday_factors",
    needs=[
        UpstreamWindow("intraday_factors", back=MEAN_WINDOW - 1),
        "reference",
        "daily_bars",
    ],
    kinds={"numba"},
    version="2",  # what is 0 but for rounding is 0
    columns=_COLUMNS,
    lineage=_section_lineage("intraday_factors", ALL34),
)
def factor_scores(build: Build) -> Iterator[Built]:
    """Trailing 20-day means (at least 10 finite days) of all intraday factors, preprocessed like factor_inputs.

    What single-factor tests and the two hand-weighted syntheses use.
    """
    first = str(shift(build.keys[0], -(MEAN_WINDOW - 1)))
    days = [str(d) for d in trading_days(first, build.keys[-1])]
    panel = build.lake.panel("intraday_factors", days, list(ALL34), missing="empty")
    means = trailing_mean(panel.stack(ALL34), MEAN_WINDOW, 10)
    at = np.searchsorted(panel.days.astype(str), build.keys)
    if len(panel.symbols) == 0:
        empty = by_symbol(panel.symbols, means[0], ALL34)
        yield from (Built(k, empty, {"absent": "no intraday factors in the window"}) for k in build.keys)
        return
    yield from crosssections(build, ALL34, means[at], panel.symbols, slice(None))


ASSETS = [intraday_factors, features_240m, factor_inputs, factor_scores]
