"""Intraday factors and their cross-sectional forms."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mg_assets import factors
from mg_assets.factors.crosssection import preprocess, trailing_mean
from mg_assets.factors.registry import ALL34, FACTORS, HF27
from mg_assets.freshness import Needs
from mg_assets.lake import Build, Built, lake_asset
from mg_assets.market.universe import tradable_universe
from mg_assets.store import DensePanel, Lake

MEAN_WINDOW = 20
_COLUMNS = {name: spec.summary for name, spec in FACTORS.items()}


@lake_asset(
    "intraday_factors",
    group="factors",
    needs=[Needs("trades"), Needs("orders"), Needs("minute_bars")],
    kinds={"numba"},
    columns=_COLUMNS,
    description="The 34 intraday factors of every stock that traded: 15 of minute bars, 8 of trades, 4 of orders "
    "(Huatai 2023-12-08, charts 6, 25, 36) and the weekly monitor's 7 (Haitong 2023-12-15). Null where a table is "
    "absent.\n\n" + "\n".join(f"- `{n}` ({s.direction:+d}): {s.formula}" for n, s in FACTORS.items()),
)
def intraday_factors(build: Build) -> Iterator[Built]:
    """All 34 intraday factors of a day."""

    def make(key: str) -> Built:
        tables = [build.lake.day(t, key) for t in ("trades", "orders", "minute_bars")]
        trades, orders, minutes = (t if len(t) else None for t in tables)
        frame = factors.intraday_factors(trades, orders, minutes).reset_index()
        share = float(frame[list(ALL34)].isna().to_numpy().mean()) if len(frame) else 1.0
        return Built(key, frame, {"symbols": len(frame), "null_share": round(share, 4)})

    return build.each(make)


def by_symbol(symbols: np.ndarray, values: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Rows ``(S, F)`` with their symbols in front; the column is text also where there are no rows."""
    frame = pd.DataFrame(values, columns=list(names), dtype=float)
    frame.insert(0, "symbol", pd.Series(symbols, dtype="str"))
    return frame


def _attributes(lake: Lake, keys: list[str], symbols: np.ndarray) -> tuple[DensePanel, np.ndarray, np.ndarray]:
    """Daily attributes on the panel's axes, industry codes ``(D, S)`` (-1 unknown) and ln free-float cap ``(D, S)``."""
    info = lake.panel("reference", keys, ["industry", "st", "suspended", "float_shares", "list_date"], symbols)
    close = lake.panel("daily_bars", keys, ["close"], symbols, missing="empty")["close"]
    codes = pd.factorize(info["industry"].ravel(), sort=True)[0].reshape(info["industry"].shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log(info["float_shares"] * close)
    return info, codes, np.where(np.isfinite(size), size, np.nan)


def _crosssections(
    build: Build, names: tuple[str, ...], values: np.ndarray, symbols: np.ndarray, rows: slice
) -> Iterator[Built]:
    """Preprocess each day's cross-section over the tradable universe (factors.md, section 8)."""
    info, industry, size = _attributes(build.lake, build.keys, symbols)
    universe = tradable_universe(build.keys, info)
    for d, (key, section) in enumerate(zip(build.keys, values[rows], strict=True)):
        sized = size[d] if np.isfinite(size[d]).any() else None
        inside = universe[d] & np.isfinite(section).any(axis=1)
        clean = preprocess(section, industry[d] if sized is not None else None, sized, inside)
        frame = by_symbol(symbols[inside], clean[inside], names)
        note = {} if sized is not None else {"not neutralised": "no market cap this day"}
        yield Built(key, frame, {"symbols": int(inside.sum()), **note})


@lake_asset(
    "factor_inputs",
    group="features",
    anchor="intraday_factors",
    needs=[Needs("intraday_factors"), Needs("reference"), Needs("daily_bars")],
    kinds={"numba"},
    columns={n: _COLUMNS[n] for n in HF27},
)
def factor_inputs(build: Build) -> Iterator[Built]:
    """The 27 factors of the day, winsorised (5 MAD), neutral to industry and ln cap, z-scored, missing 0.

    The input sequence of hf_gru. Over the tradable universe. Source: factors.md, section 8.
    """
    panel = build.lake.panel("intraday_factors", build.keys, list(HF27))
    yield from _crosssections(build, HF27, panel.stack(HF27), panel.symbols, slice(None))


@lake_asset(
    "factor_scores",
    group="features",
    anchor="intraday_factors",
    needs=[Needs("intraday_factors", back=MEAN_WINDOW - 1), Needs("reference"), Needs("daily_bars")],
    kinds={"numba"},
    columns=_COLUMNS,
)
def factor_scores(build: Build) -> Iterator[Built]:
    """Trailing 20-day means (at least 10 finite days) of all 34 factors, preprocessed like factor_inputs.

    What single-factor tests and the two hand-weighted syntheses use.
    """
    from mg_assets.market.calendar import shift, trading_days

    first = str(shift(build.keys[0], -(MEAN_WINDOW - 1)))
    days = [str(d) for d in trading_days(first, build.keys[-1])]
    panel = build.lake.panel("intraday_factors", days, list(ALL34), missing="empty")
    means = trailing_mean(panel.stack(ALL34), MEAN_WINDOW, 10)
    at = np.searchsorted(panel.days.astype(str), build.keys)
    if len(panel.symbols) == 0:
        empty = by_symbol(panel.symbols, means[0], ALL34)
        yield from (Built(k, empty, {"absent": "no intraday factors in the window"}) for k in build.keys)
        return
    yield from _crosssections(build, ALL34, means[at], panel.symbols, slice(None))


ASSETS = [intraday_factors, factor_inputs, factor_scores]
