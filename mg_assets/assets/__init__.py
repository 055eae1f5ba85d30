"""The graph's assets, in the order in which data flows."""

from collections.abc import Callable, Iterable, Iterator

import dagster as dg

from mg_assets.assets import (
    bars,
    daily_factors,
    evaluation,
    factors,
    input_evaluation,
    labels,
    models,
    own_factors,
    portfolio_placebos,
    portfolio_studies,
    portfolios,
    raw,
    report,
    signal_study,
)
from mg_assets.lake.store import Lake
from mg_assets.orchestration.lake_asset import LakeAsset
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY
from mg_assets.orchestration.staleness import TableRegistry
from mg_assets.sources.base import Source

LAKE_ASSETS: tuple[LakeAsset, ...] = (
    *raw.ASSETS,
    *bars.ASSETS,
    *factors.ASSETS,
    *daily_factors.ASSETS,
    *own_factors.ASSETS,
    *labels.ASSETS,
    *models.ASSETS,
    *portfolios.ASSETS,
    *portfolio_placebos.ASSETS,
    *portfolio_studies.ASSETS,
    *evaluation.ASSETS,
    *input_evaluation.ASSETS,
    *signal_study.ASSETS,
    *report.ASSETS,
)
TABLES = TableRegistry(entry for asset in LAKE_ASSETS for entry in asset.entries)
"""Every table of the graph."""
ASSET_OF: dict[str, LakeAsset] = {table: asset for asset in LAKE_ASSETS for table in asset.tables}
"""The asset that makes each table."""
ASSETS: list[dg.AssetsDefinition] = [asset.definition(TABLES) for asset in LAKE_ASSETS]
"""The same as Dagster's assets."""


def make(
    table: str,
    keys: Iterable[str],
    lake: Lake,
    source: Source | None = None,
    workers: int = 1,
    device: str = "cpu",
    log: Callable[[str], None] = print,
) -> Iterator[Built]:
    """Make partitions of a table without a Dagster run; nothing is written but what an asset stores by itself.

    Parameters
    ----------
    table : str
        One of the tables of its asset; all that the asset makes is yielded.
    keys : iterable of str
        Lake keys.
    lake : Lake
        That upstream tables are read from.
    source : Source, optional
        For raw tables, and those whose asset asks for the source.
    workers : int
    device : str
    log : callable

    Yields
    ------
    Built
    """
    asset = ASSET_OF[table]
    build = Build(list(keys), lake, lambda: source, workers, lambda: device, log, asset.recipes(TABLES))  # type: ignore
    yield from asset.make(build)


def daily_tables() -> list[str]:
    """Tables partitioned by trading day."""
    return TABLES.partitioned_by(DAILY)


def weekly_tables() -> list[str]:
    """Tables partitioned by week."""
    return TABLES.partitioned_by(WEEKLY)


def monthly_tables() -> list[str]:
    """Tables partitioned by month."""
    return TABLES.partitioned_by(MONTHLY)


def half_yearly_tables() -> list[str]:
    """Training tables."""
    return TABLES.partitioned_by(HALF_YEARLY)


def whole_tables() -> list[str]:
    """Tables without partitions."""
    return TABLES.partitioned_by(None)
