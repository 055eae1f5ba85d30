"""Factors of the user's own: a table each, and one of all their scores, as they are evaluated."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mg_assets.assets.factors import by_symbol, crosssections
from mg_assets.factors.cross_section import trailing_mean
from mg_assets.factors.own import SCORES, Factor
from mg_assets.factors.own_frames import FactorReader
from mg_assets.factors.registry import own_factors
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import shift, trading_days
from mg_assets.orchestration.lake_asset import LakeAsset, lake_asset
from mg_assets.orchestration.partition_build import Build, Built

DAILY_TABLES = ("daily_factors", "common_factors")


def window(factor: Factor, table: str) -> UpstreamWindow:
    """What one day of a factor reads of a table."""
    named = factor.columns.get(table, ())
    return UpstreamWindow(table, back=factor.days - 1, columns=tuple((c, 0) for c in named))


def factor_asset(factor: Factor) -> LakeAsset:
    """The table of a factor, made day by day."""
    spec = factor.spec
    notes = [f"{spec.meaning}\n\n`{spec.formula}`", spec.summary.partition("[")[2].rstrip("]"), spec.edges, spec.why]

    @lake_asset(
        factor.table,
        group="factors",
        anchor=factor.tables[0],
        needs=[window(factor, table) for table in factor.tables],
        version=factor.version,
        config=(factor.name, factor.code, factor.frames),
        columns={factor.name: spec.summary},
        lineage={"symbol": (f"{factor.tables[0]}.symbol",), factor.name: spec.inputs},
        description="\n\n".join(filter(None, notes)),
    )
    def make(build: Build) -> Iterator[Built]:
        reader = FactorReader(build.lake, factor, build.workers)

        def one(key: str) -> Built:
            values = factor.values(key, reader.tables(key), reader.symbols(key))
            frame = by_symbol(values.index.to_numpy(), values.to_numpy()[:, None], (factor.name,))
            share = round(float(values.isna().mean()), 4) if len(values) else 1.0
            return Built(key, frame, {"symbols": len(frame), "null_share": share})

        return build.each(one)

    return make


def scores_asset(factors: dict[str, Factor]) -> LakeAsset:
    """The table of the scores of all own factors."""
    names = tuple(factors)
    sources = {n: (f"{one.table}.{n}", "reference.industry", "daily_bars.close") for n, one in factors.items()}

    @lake_asset(
        SCORES,
        group="features",
        anchor="daily_bars",
        needs=[
            *(UpstreamWindow(one.table, back=one.mean_days - 1) for one in factors.values()),
            "reference",
            "daily_bars",
        ],
        kinds={"numba"},
        version="2",  # what is 0 but for rounding is 0
        columns={n: f"mean of {one.mean_days} days: {one.spec.summary}" for n, one in factors.items()},
        lineage={"symbol": ("daily_bars.symbol",), **sources},
    )
    def make(build: Build) -> Iterator[Built]:
        """Trailing means of the user's own factors, preprocessed like factor_scores; what their evaluation uses."""
        means, symbols = trailing_means(build.lake, factors, build.keys)
        if not len(symbols):
            empty = by_symbol(symbols, np.empty((0, len(names))), names)
            yield from (Built(k, empty, {"absent": "no factors in the window"}) for k in build.keys)
            return
        yield from crosssections(build, names, means, symbols, slice(None))

    return make


def trailing_means(lake: Lake, factors: dict[str, Factor], keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Means of each factor's last ``mean_days``, at least half of them finite, on some days.

    Returns
    -------
    values : ndarray of float64 (D, S, F)
    symbols : ndarray of str (S,)
        Of any of the factors, ascending.
    """
    panels = []
    for name, one in factors.items():
        days = [str(d) for d in trading_days(shift(keys[0], 1 - one.mean_days), keys[-1])]
        panel = lake.panel(one.table, days, [name], missing="empty")
        at = np.searchsorted(panel.days.astype(str), keys)
        means = trailing_mean(panel[name], one.mean_days, max(1, one.mean_days // 2))[at]
        panels.append(pd.DataFrame(means, columns=panel.symbols))
    symbols = np.unique(np.concatenate([p.columns.to_numpy(object) for p in panels]))
    return np.stack([p.reindex(columns=symbols).to_numpy(np.float64) for p in panels], axis=-1), symbols


OWN = own_factors()
OF_DAYS = tuple(one.table for one in OWN.values() if set(one.tables) <= {"daily_bars", "reference", *DAILY_TABLES})
"""Tables of factors that need no ticks or minutes."""
OF_TICKS = tuple(one.table for one in OWN.values() if one.table not in OF_DAYS)
ASSETS = [*map(factor_asset, OWN.values()), *([scores_asset(OWN)] if OWN else [])]
