"""Run a suite on one partition or hundreds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import SuiteRun, View
from mg_assets.quality.engine import KEY, LimitResult, validate_limits
from mg_assets.quality.suite import BAD_ROWS, EXAMPLES, Check, CheckOutcome, Limit, Measures, plain
from mg_assets.quality.suites import suite_for

NOT_APPLICABLE = "not applicable"


def run_suite(
    table: str, lake: Lake, keys: Sequence[str], previous: Sequence[str] | None = None, light: bool = False
) -> list[CheckOutcome]:
    """Check partitions of a table.

    Partitions are measured one after the other, so memory does not grow with their number; the
    measures of all of them are then validated by Great Expectations at once.

    Parameters
    ----------
    table : str
        A table of the lake; ``weights_<portfolio>`` and ``quarantine_<table>`` have the suites ``weights`` and
        ``quarantine``.
    lake : Lake
    keys : sequence of str
        Partitions to check. One that the lake lacks is "not applicable", never an error.
    previous : sequence of str, optional
        Partitions that count as the past (bands, drift); by default all the lake has. A partition
        is compared only with earlier ones, the run's own among them, so a range gives what its days
        give one by one.
    light : bool
        For a report of what was checked before: predictions are not computed again (leakage, certificate and
        point_in_time are "not applicable"), and limits are compared here, without Great Expectations.

    Returns
    -------
    list of CheckOutcome
        One for each check of the suite.

    Raises
    ------
    DataError
        When no suite belongs to the table, or Great Expectations fails.
    """
    suite = suite_for(table)
    stored = lake.keys(table)
    here = set(stored)
    wanted = sorted(set(keys))
    present = [k for k in wanted if k in here]
    past = stored if previous is None else sorted((set(previous) | set(present)) & here)
    run = SuiteRun(lake.keeping(), table, past, light)
    measured: dict[str, Measures] = {}
    for key in present:
        measured[key] = Measures()
        suite.measure(View(run, key), measured[key])
    limits = suite.limits()
    names = list(dict.fromkeys(limit.measure for limit in limits))
    frame = pd.DataFrame(
        {KEY: present, **{n: np.array([m.values.get(n, np.nan) for m in measured.values()]) for n in names}}
    )
    results = compare_limits(frame, limits) if light else validate_limits(frame, limits)
    absent = [k for k in wanted if k not in here]
    return [_outcome(check, results, measured, frame, absent) for check in suite.checks]


def compare_limits(measures: pd.DataFrame, limits: Sequence[Limit]) -> dict[Limit, LimitResult]:
    """What :func:`~mg_assets.quality.engine.validate_limits` finds, by plain comparison: a hundredth of its time."""
    results = {}
    for limit in limits:
        values = measures[limit.measure].to_numpy(np.float64)
        low, high = (bound if bound is not None else end for bound, end in ((limit.low, -np.inf), (limit.high, np.inf)))
        bad = tuple(measures[KEY].to_numpy(object)[(values < low) | (values > high)])
        results[limit] = LimitResult(not bad, bad)
    return results


def _outcome(
    check: Check,
    results: dict[Limit, LimitResult],
    measured: dict[str, Measures],
    frame: pd.DataFrame,
    absent: list[str],
) -> CheckOutcome:
    failed = [(limit, results[limit]) for limit in check.limits if not results[limit].passed]
    bad_keys = sorted({key for _, result in failed for key in result.bad})
    bad = [
        row for key in bad_keys for limit, result in failed if key in result.bad
        for row in _breach(key, limit, measured[key])
    ]  # fmt: skip
    names = list(dict.fromkeys(limit.measure for limit in check.limits))
    applicable = frame[names].notna().any(axis=1) if len(frame) else pd.Series(dtype=bool)
    notes = list(dict.fromkeys(note for m in measured.values() for note in m.notes))
    observed: dict = {"partitions": len(frame), "bad_partitions": bad_keys}
    if absent:
        observed["absent_partitions"] = absent
    if not applicable.any():
        observed["note"] = NOT_APPLICABLE
    elif not applicable.all():
        observed["not_applicable_partitions"] = int((~applicable).sum())
    observed["measures"] = {
        n: [plain(float(frame[n].min())), plain(float(frame[n].max()))] for n in names if frame[n].notna().any()
    }
    if notes:
        observed["notes"] = notes[:EXAMPLES]
    return CheckOutcome(check.name, not failed, check.blocking, check.description, bad[:BAD_ROWS], observed)


def _breach(key: str, limit: Limit, measures: Measures) -> list[dict]:
    head = {"partition": key, "measure": limit.measure, "observed": plain(measures.values[limit.measure])}
    return [{**head, **example} for example in measures.examples.get(limit.measure, [])] or [head]
