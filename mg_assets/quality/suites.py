"""Every table's suite."""

from mg_assets.errors import DataError
from mg_assets.factors.own import SCORES
from mg_assets.factors.registry import own_factors
from mg_assets.lake.table_view import View
from mg_assets.market.schema import SCHEMAS
from mg_assets.quality import shared_checks
from mg_assets.quality.bars import DAILY_BARS, MINUTE_BARS, MONTHLY_BARS, WEEKLY_BARS
from mg_assets.quality.factors import DAILY, FACTOR_INPUTS, FACTOR_SCORES, INTRADAY_FACTORS, LABELS, own_suite
from mg_assets.quality.models import MODELS
from mg_assets.quality.predictions import PREDICTIONS
from mg_assets.quality.reference import PLANTED_SIGNAL, REFERENCE_SUITE
from mg_assets.quality.replay import SNAPSHOTS
from mg_assets.quality.rules import own_rules, with_rules
from mg_assets.quality.suite import Check, Limit, Measures, Suite
from mg_assets.quality.ticks import ORDERS, TRADES
from mg_assets.quality.weights import WEIGHTS
from mg_assets.settings import settings

PREDICTION_TABLES = settings().catalogs.signals  # one table per model, head, synthesis or fusion
MODEL_TABLES = tuple(f"{name}_model" for name in settings().catalogs.models)

QUARANTINE_CHECKS = (
    shared_checks.SCHEMA,
    Check(
        "reasons",
        "Every quarantined row names its file, its row and a reason",
        (Limit("no_reason"), Limit("no_source_row")),
    ),
)


def _measure_quarantine(view: View, measures: Measures) -> None:
    part = view.lake.table(view.table, view.key)
    if not shared_checks.measure_schema(measures, part.schema, SCHEMAS["quarantine"], len(part)):
        return
    shared_checks.measure_nulls(measures, part, ("symbol", "file", "row", "reason", "content"))
    frame = part.to_pandas()
    reason, file = frame["reason"].fillna(""), frame["file"].fillna("")
    shown = {c: frame[c].to_numpy(dtype=object) for c in ("table", "symbol", "file", "reason")}
    measures.rows("no_reason", (reason == "").to_numpy(), **shown)
    measures.rows("no_source_row", (file == "").to_numpy() | frame["row"].isna().to_numpy(), **shown)


QUARANTINE = Suite("quarantine", QUARANTINE_CHECKS, _measure_quarantine)

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        TRADES, ORDERS, SNAPSHOTS, REFERENCE_SUITE, PLANTED_SIGNAL, MINUTE_BARS, DAILY_BARS, WEEKLY_BARS, MONTHLY_BARS,
        INTRADAY_FACTORS, FACTOR_INPUTS, FACTOR_SCORES, *DAILY, LABELS, WEIGHTS, QUARANTINE,
    )
}  # fmt: skip
"""Suites by table; ``weights`` and ``quarantine`` serve every ``weights_<portfolio>`` and ``quarantine_<table>``."""
SUITES |= {name: Suite(name, PREDICTIONS.checks, PREDICTIONS.measure) for name in PREDICTION_TABLES}
SUITES |= {name: Suite(name, MODELS.checks, MODELS.measure) for name in MODEL_TABLES}


def suite_for(table: str) -> Suite:
    """The suite of a table, with the user's own rules of it; DataError where there is none."""
    suite = with_rules(table, built_in_suite(table))
    if suite is None:
        raise DataError(f"no quality suite for table {table!r}; known are {sorted(SUITES)}")
    return suite


def built_in_suite(table: str) -> Suite | None:
    """The suite that a table has without rules; None where it has none."""
    for prefix in ("weights", "quarantine"):
        if table.startswith(f"{prefix}_"):
            return SUITES[prefix]
    return SUITES.get(table) or own_suite(table)


def own_suite_tables() -> list[str]:
    """Tables of the user's own factors, and those that only rules check."""
    factors = [one.table for one in own_factors().values()]
    tables = [*factors, *([SCORES] if factors else [])]
    return [*tables, *(t for t in own_rules() if built_in_suite(t) is None)]
