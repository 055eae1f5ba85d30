"""What failed and what checks found, in one notice a day: the first failure at once, the others together.

The state between two looks is the cursor of the sensor that looks (:mod:`mg_assets.automation`): the period's begin,
its failed runs, and whether its first was posted. A notice that the webhook does not take is posted again.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from mg_assets.orchestration.failures import one_line
from mg_assets.orchestration.partitions import TIMEZONE
from mg_assets.orchestration.restatements import counted
from mg_assets.orchestration.run_usage import partitions_of

HOUR = 21
"""Of the day in Shanghai, at which the day's notice is posted: after the last of the schedules."""
LISTED = 20
"""Runs and checks that a notice names."""
LATE = 3600.0
"""Seconds after its end within which a failed run is in Dagster's storage."""
TEXT = 300
"""Characters of an error in a notice."""

SHANGHAI = ZoneInfo(TIMEZONE)

Post = Callable[[dict[str, Any]], str]
"""Posts a notice; gives why it was not taken, or an empty text."""


@dataclass
class Period:
    """What was seen since the last notice of a day.

    Attributes
    ----------
    since : float
        Its begin, in seconds since the epoch.
    waiting : list of str
        Failed runs that no day's notice has named.
    known : list of str
        Those that the last one named.
    first : str
        The run that was posted at once; empty where none was.
    reach : float
        Seconds before its begin in which a failed run that no look saw is still news; none before the first look.
    """

    since: float
    waiting: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    first: str = ""
    reach: float = LATE


def look(
    instance: dg.DagsterInstance,
    tables: Sequence[str],
    cursor: str | None,
    now: dt.datetime,
    post: Post,
    log: Callable[[str], object],
) -> str:
    """Post what is to be posted now.

    Parameters
    ----------
    instance : DagsterInstance
    tables : sequence of str
        Whose freshness the day's notice states.
    cursor : str or None
        What the last look returned; None at the first, which begins the first period.
    now : datetime
        With a time zone.
    post : callable
    log : callable
        Takes a line for each failed run, and for each notice that was not taken.

    Returns
    -------
    str
    """
    period = Period(**json.loads(cursor)) if cursor else Period(now.timestamp(), reach=0.0)
    for record in _failed(instance, period):
        period.waiting.append(record.dagster_run.run_id)
        notice = failure_notice(instance, record.dagster_run)
        log(notice["text"])
        if not period.first and not _refused(post(notice), log):
            period.first = record.dagster_run.run_id
    if _last_hour(now) > period.since:
        notice = day_notice(instance, tables, period, now)
        alone = period.waiting == [period.first]  # it was posted already
        news = (notice["failed"] and not alone) or notice["checks"] or notice["late"]
        if not news or not _refused(post(notice), log):
            period = Period(now.timestamp(), known=period.waiting)
    return json.dumps(asdict(period))


def failure_notice(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, str]:
    """The notice of a failed run: job, partitions, error and run id; ``text`` is what chat webhooks show.

    Parameters
    ----------
    instance : DagsterInstance
    run : DagsterRun

    Returns
    -------
    dict of str to str
    """
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.PIPELINE_FAILURE)
    error = next((e.dagster_event.message for e in reversed(events) if e.dagster_event), None) or "no message"
    partition = partitions_of(run) or "unpartitioned"
    return {
        "text": f"{run.job_name} failed for {partition}: {error}",
        "job": run.job_name,
        "partition": partition,
        "run_id": run.run_id,
        "error": error,
    }


def day_notice(instance: dg.DagsterInstance, tables: Sequence[str], period: Period, now: dt.datetime) -> dict[str, Any]:
    """The notice of a period: its failed runs, what its checks found, and the tables that are late.

    Parameters
    ----------
    instance : DagsterInstance
    tables : sequence of str
    period : Period
    now : datetime
        Its end.

    Returns
    -------
    dict
        ``text``; ``failed`` and ``checks``, of which the first :data:`LISTED` each, and how many there are; ``late``,
        whose last partition is older than their freshness policy allows, as Dagster's daemon found it.
    """
    runs = instance.get_runs(dg.RunsFilter(run_ids=period.waiting)) if period.waiting else []
    failed = [failure_notice(instance, run) for run in runs[:LISTED]]
    checks = list(_checks(instance, period.since))
    found = [f"{counted(period.waiting, 'run')} failed"] if period.waiting else []
    found += [f"{counted(checks, 'check')} found something"] if checks else []
    late = _late(instance, tables)
    found += [f"{counted(late, 'table')} late"] if late else []
    lines = [f"{now.astimezone(SHANGHAI):%Y-%m-%d}: {', '.join(found)}"]
    lines += _some([_short(f["text"]) for f in failed], len(period.waiting), "runs")
    lines += _some([_short(c["text"]) for c in checks[:LISTED]], len(checks), "checks")
    lines += [f"late: {', '.join(late[:LISTED])}{', ...' if len(late) > LISTED else ''}"] if late else []
    return {
        "text": "\n".join(lines),
        "late": late,
        "failed": failed,
        "failed_runs": len(period.waiting),
        "checks": checks[:LISTED],
        "failed_checks": len(checks),
    }


def _failed(instance: dg.DagsterInstance, period: Period) -> list[Any]:
    """Records of runs that failed since the last look, in the order of their ends."""
    since = dt.datetime.fromtimestamp(period.since - LATE, dt.UTC)
    records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since))
    seen = {*period.waiting, *period.known}
    ended = [(r.end_time or r.update_timestamp.timestamp(), r) for r in records if r.dagster_run.run_id not in seen]
    return [record for end, record in sorted(ended, key=lambda pair: pair[0]) if end > period.since - period.reach]


def _checks(instance: dg.DagsterInstance, since: float) -> Iterator[dict[str, str]]:
    """Checks that failed or warned in the runs since then, once a check and run."""
    begin = dt.datetime.fromtimestamp(since, dt.UTC)
    for run in reversed(instance.get_runs(dg.RunsFilter(updated_after=begin))):
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            if entry.dagster_event is None or entry.timestamp <= since:
                continue
            found = entry.dagster_event.asset_check_evaluation_data
            if found.passed:
                continue
            table, severity = found.asset_key.to_user_string(), found.severity.value.lower()
            value = found.metadata.get("bad_partitions")
            bad = str(value.value) if value is not None else (partitions_of(run) or "unpartitioned")
            yield {
                "text": f"{table}: {found.check_name} ({severity}) in {bad}",
                "table": table,
                "check": found.check_name,
                "severity": severity,
                "partitions": bad,
                "run_id": run.run_id,
            }


def _late(instance: dg.DagsterInstance, tables: Sequence[str]) -> list[str]:
    records = instance.get_freshness_state_records([dg.AssetKey(table) for table in tables])
    return sorted(k.to_user_string() for k, r in records.items() if r.freshness_state.value == "FAIL")


def _last_hour(now: dt.datetime) -> float:
    """The last time that it was :data:`HOUR` in Shanghai."""
    local = now.astimezone(SHANGHAI)
    today = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return (today if today <= local else today - dt.timedelta(days=1)).timestamp()


def _refused(why: str, log: Callable[[str], object]) -> bool:
    if why:
        log(why)
    return bool(why)


def _some(lines: Sequence[str], count: int, what: str) -> Iterable[str]:
    """The lines, and how many more there are."""
    return [*lines, *([f"and {count - len(lines)} more {what}: the UI lists them"] if count > len(lines) else [])]


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= TEXT else line[: TEXT - 3] + "..."
