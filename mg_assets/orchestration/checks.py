"""Quality suites as asset checks: one step a table, one check a group of rules.

A step checks the partitions of its run, one or hundreds, in one go; an unpartitioned run checks
the newest ones in the lake. A check's evaluation carries no partition (Dagster records none for
a range), so its metadata lists the bad partitions and the first offending rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from mg_assets.factors.own import PREFIX
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_name
from mg_assets.market.schema import SCHEMAS
from mg_assets.orchestration import callbacks
from mg_assets.orchestration.metadata import rows_table
from mg_assets.orchestration.partitions import DAILY
from mg_assets.orchestration.resources import LakeResource
from mg_assets.orchestration.staleness import TableAsset, TableRegistry
from mg_assets.quality.daily_factors import TABLES as DAILY_FACTOR_TABLES
from mg_assets.quality.rules import check_rules
from mg_assets.quality.suite import CheckOutcome, Suite
from mg_assets.quality.suites import (
    MODEL_TABLES,
    PREDICTION_TABLES,
    SUITES,
    built_in_suite,
    own_suite_tables,
    suite_for,
)
from mg_assets.settings import check_accepted, settings

NEWEST = 20  # partitions that an unpartitioned run checks
LISTED = 20  # offending rows and bad partitions shown

# Tables that a suite reads besides its own: in a run that makes them too, the checks wait for them.
READS = {
    "trades": ("orders", "reference"),
    "orders": ("reference", "snapshots"),
    "minute_bars": ("trades", "reference"),
    "daily_bars": ("minute_bars", "reference"),
    "weekly_bars": ("daily_bars",),
    "monthly_bars": ("daily_bars",),
    "intraday_factors": ("reference",),
    **{name: ("reference",) for name in DAILY_FACTOR_TABLES},
    "labels": ("daily_bars",),
    **{name: ("labels",) for name in PREDICTION_TABLES},
}


def checked_tables(portfolios: Iterable[str] | None = None) -> list[str]:
    """Tables with checks: every suite's, the deployment's models and the weights of its portfolios."""
    names = settings().portfolios if portfolios is None else portfolios
    trained = settings().catalogs.trained(settings().held_signals)
    others = {"weights", "quarantine", *MODEL_TABLES} - {f"{m}_model" for m in trained}
    weights = [f"weights_{p}" for p in names]
    return [*(t for t in SUITES if t not in others), *weights, *(t for t in own_suite_tables() if t not in weights)]


def build_checks(tables: Iterable[str] | None = None) -> list[dg.AssetChecksDefinition]:
    """The checks of each table, by default of :func:`checked_tables`; a table's asset has its name."""
    known = [*SUITES, *(f"weights_{p}" for p in settings().catalogs.portfolios), *own_suite_tables()]
    check_accepted(settings().accepted, {table: [check.name for check in suite_for(table).checks] for table in known})
    return [_checks(table, suite_for(table)) for table in (checked_tables() if tables is None else tables)]


def check_own_rules(tables: TableRegistry) -> None:
    """Refuse the user's rules that name what the graph does not have (:class:`~mg_assets.errors.SettingsError`)."""
    columns = {name: _columns(entry) for name, entry in tables.items()}
    suites = {name: built_in_suite(name) for name in tables}
    check_rules(columns, {name: [c.name for c in suite.checks] for name, suite in suites.items() if suite})


def _columns(entry: TableAsset) -> list[str]:
    """A table's columns; none where some are only known once it is made."""
    if entry.table in SCHEMAS:
        return SCHEMAS[entry.table].names
    names = list(entry.columns)
    return [] if not names or "..." in names else [*(["symbol"] if entry.definition == DAILY else []), *names]


def lake_keys(context: dg.AssetCheckExecutionContext) -> list[str] | None:
    """Lake keys of the run's partitions, ascending; None in an unpartitioned run."""
    # a day's, week's or month's partition key is its lake key; a model's is the name of its half-year
    if not (context.has_partition_key or context.has_partition_key_range):
        return None
    models = any(key.asset_key.to_user_string() in MODEL_TABLES for key in context.selected_asset_check_keys)
    return sorted(map(half_year_name, context.partition_keys) if models else context.partition_keys)


def _checks(table: str, suite: Suite) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            check.name,
            asset=table,
            description=check.description,
            blocking=check.blocking,
            additional_deps=READS.get(table, ("reference",) if table.startswith(PREFIX) else None),
        )
        for check in suite.checks
    ]

    @dg.multi_asset_check(
        name=f"{table}_quality",
        specs=specs,
        can_subset=True,
        compute_kind="great_expectations",
        description=f"Quality of {table}: its partitions measured one by one, validated together.",
    )
    def checks(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        store = lake.open()
        keys = lake_keys(context)
        outcomes = check_partitions(table, store, store.keys(table)[-NEWEST:] if keys is None else keys)
        selected = {key.name for key in context.selected_asset_check_keys}
        for outcome in outcomes:
            if outcome.name in selected:
                yield _result(table, outcome)

    return checks


def check_partitions(table: str, lake: Lake, keys: Sequence[str]) -> list[CheckOutcome]:
    """Run a table's suite on partitions, and record what it rejects.

    Parameters
    ----------
    table : str
    lake : Lake
    keys : sequence of str

    Returns
    -------
    list of CheckOutcome
    """
    from mg_assets.quality.runner import run_suite

    outcomes = run_suite(table, lake, keys)
    record_outcomes(table, lake, keys, outcomes)
    for outcome in outcomes:
        if callbacks.on_outcome is not None and not outcome.passed:
            callbacks.on_outcome(table, outcome)
    return outcomes


def evaluation(table: str, outcome: CheckOutcome) -> dg.AssetCheckEvaluation:
    """The event of a check that ran outside a Dagster run."""
    found = _result(table, outcome)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(table),
        check_name=outcome.name,
        passed=outcome.passed,
        severity=found.severity,
        metadata=found.metadata,
        blocking=outcome.blocking,
    )


def record_outcomes(table: str, lake: Lake, keys: Iterable[str], outcomes: Iterable[CheckOutcome]) -> None:
    """Record in the lake which blocking checks each partition failed: it is then stale, and nothing may read it."""
    keys = list(keys)
    rejected: dict[str, list[str]] = {}
    for outcome in outcomes:
        for key in rejected_partitions(table, outcome):
            rejected.setdefault(key, []).append(outcome.name)
    for key in keys:
        lake.record_check_failures(table, key, rejected.get(key, []))
    lake.unchecked(table).remove(keys)


def rejected_partitions(table: str, outcome: CheckOutcome) -> list[str]:
    """What a failed check keeps from being read: bad partitions that the settings do not accept; none of a warning."""
    if not outcome.blocking:
        return []
    accepted = settings().accepted.get(table, {}).get(outcome.name, ())
    return [k for k in outcome.observed["bad_partitions"] if not any(_within(k, a) for a in accepted)]


def _within(key: str, accepted: str) -> bool:
    """Whether a partition is one of those accepted: a key, or first and last as ``2010-01-04..2011-12-30``."""
    first, _, last = accepted.partition("..")
    return first <= key <= (last or first)


def _result(table: str, outcome: CheckOutcome) -> dg.AssetCheckResult:
    blocks = outcome.blocking and (outcome.passed or bool(rejected_partitions(table, outcome)))
    return dg.AssetCheckResult(
        asset_key=table,
        check_name=outcome.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        metadata=_metadata(outcome),
    )


def _metadata(outcome: CheckOutcome) -> dict[str, Any]:
    """What the UI shows of an outcome; little where the check passed."""
    observed = outcome.observed
    shown: dict[str, Any] = {"partitions": observed["partitions"]}
    for name in ("note", "not_applicable_partitions"):
        if name in observed:
            shown[name] = observed[name]
    if "absent_partitions" in observed:
        shown["absent_partitions"] = _some(observed["absent_partitions"])
    if observed["measures"]:
        spans = [
            {"measure": name, "least": low, "greatest": high} for name, (low, high) in observed["measures"].items()
        ]
        shown["observed"] = rows_table(spans)
    if "notes" in observed:
        shown["notes"] = "; ".join(observed["notes"])
    if not outcome.passed:
        shown["bad_partitions"] = _some(observed["bad_partitions"])
        shown["bad"] = rows_table(outcome.bad[:LISTED])
    return shown


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return ", ".join(keys[:LISTED]) + more
