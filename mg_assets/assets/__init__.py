"""The graph's assets, in the order in which data flows."""

import dagster as dg

from mg_assets.assets import (
    bars,
    daily_factors,
    evaluation,
    factors,
    input_evaluation,
    labels,
    models,
    portfolio_studies,
    portfolios,
    raw,
    report,
    signal_study,
)
from mg_assets.orchestration.lake_asset import LakeAsset
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY
from mg_assets.orchestration.staleness import TABLES

FLOORS = (
    raw,
    bars,
    factors,
    daily_factors,
    labels,
    models,
    portfolios,
    portfolio_studies,
    evaluation,
    input_evaluation,
    signal_study,
    report,
)
ASSET_OF: dict[str, LakeAsset] = {table: asset for floor in FLOORS for asset in floor.ASSETS for table in asset.tables}
"""The asset that makes each table."""
ASSETS: list[dg.AssetsDefinition] = [asset.definition() for floor in FLOORS for asset in floor.ASSETS]


def _tables(definition: dg.PartitionsDefinition | None) -> list[str]:
    return [name for name, entry in TABLES.items() if entry.definition == definition]


def daily_tables() -> list[str]:
    """Tables partitioned by trading day."""
    return _tables(DAILY)


def weekly_tables() -> list[str]:
    """Tables partitioned by week."""
    return _tables(WEEKLY)


def monthly_tables() -> list[str]:
    """Tables partitioned by month."""
    return _tables(MONTHLY)


def half_yearly_tables() -> list[str]:
    """Training tables."""
    return _tables(HALF_YEARLY)


def whole_tables() -> list[str]:
    """Tables without partitions."""
    return _tables(None)
