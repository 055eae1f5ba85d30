"""What a run made and used: partitions, CPU seconds, memory, bytes. Its tags say so, and ``mg runs`` adds them up.

A run's steps run in its own process, or one after the other in that of ``mg run``; processes that a step starts and
waits for (training, replay) count with it. Linux counts the bytes (``/proc/self/io``); elsewhere they are left out.
"""

import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from mg_assets.market.calendar import half_year_name
from mg_assets.settings import settings

CPU, MEMORY, READ, WRITTEN = "mg/cpu_seconds", "mg/peak_memory_mib", "mg/read_mib", "mg/written_mib"
TAGS = (CPU, MEMORY, READ, WRITTEN)
PARTITIONS = "mg/partitions"
RETRAIN = "half_yearly_retrain"  # the job that trains
MIB = 1 << 20


@dataclass(frozen=True)
class Usage:
    """What this process, and those that it waited for, have used so far.

    Attributes
    ----------
    cpu : float
        Seconds.
    peak : int
        Bytes of memory that the process, or the largest that it waited for, held at once.
    read, written : int or None
        Bytes that were asked of the system, of cached files and pipes too; None where it does not count them.
    """

    cpu: float
    peak: int
    read: int | None
    written: int | None

    @classmethod
    def now(cls) -> "Usage":
        """As of now."""
        own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        counted = _numbers("/proc/self/io")
        # not ru_maxrss of its own: a process inherits that of the one that started it
        peak = _numbers("/proc/self/status").get("VmHWM", own.ru_maxrss)
        return cls(
            own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
            max(peak, others.ru_maxrss) * 1024,
            counted.get("rchar"),
            counted.get("wchar"),
        )

    def tags_since(self, before: "Usage") -> dict[str, str]:
        """What was used since an earlier time, as tags of a run.

        Parameters
        ----------
        before : Usage

        Returns
        -------
        dict of str to str
            A process has one peak: where an earlier run of it needed more, memory is a bound, ``<1200``.
        """
        bound = "" if self.peak > before.peak else "<"
        out = {CPU: f"{self.cpu - before.cpu:.1f}", MEMORY: f"{bound}{self.peak / MIB:.0f}"}
        for name, new, old in ((READ, self.read, before.read), (WRITTEN, self.written, before.written)):
            if new is not None and old is not None:
                out[name] = f"{(new - old) / MIB:.1f}"
        return out


@contextmanager
def metered(instance: dg.DagsterInstance | None, run: dg.DagsterRun | None) -> Iterator[None]:
    """Tag a run with its partitions, and with what is used in the block; outside runs, as in a sensor, nothing.

    Parameters
    ----------
    instance : DagsterInstance or None
    run : DagsterRun or None
    """
    before = Usage.now()
    if instance is None or run is None or instance.get_run_by_id(run.run_id) is None:
        yield
        return
    if partitions := partitions_of(run):
        instance.add_run_tags(run.run_id, {PARTITIONS: partitions})
    try:
        yield
    finally:
        instance.add_run_tags(run.run_id, Usage.now().tags_since(before))


def partitions_of(run: dg.DagsterRun) -> str:
    """The partitions of a run as a person names them: ``2023-02-01..2023-02-28``, ``2023H1``; empty where it has none.

    Parameters
    ----------
    run : DagsterRun

    Returns
    -------
    str
    """
    first = run.tags.get("dagster/asset_partition_range_start") or run.tags.get("dagster/partition", "")
    last = run.tags.get("dagster/asset_partition_range_end", first)
    tables = {key.to_user_string() for key in run.asset_selection or ()}
    trained = {f"{name}_model" for name in settings().catalogs.models}
    if first and (run.job_name == RETRAIN or (tables and tables <= trained)):
        first, last = half_year_name(first), half_year_name(last)
    return first if first == last else f"{first}..{last}"


@dataclass(frozen=True)
class RunRow:
    """A run as ``mg runs`` shows it.

    Attributes
    ----------
    job, status, partitions : str
    tables : tuple of str
        That it was asked for; empty for those of its job.
    began : float
        Seconds since the epoch.
    seconds : float
        By the clock.
    cpu, memory, read, written : float
        Of the tags; NaN where the run has none. Memory is a bound where an earlier run of the process needed more.
    """

    job: str
    status: str
    partitions: str
    tables: tuple[str, ...]
    began: float
    seconds: float
    cpu: float
    memory: float
    read: float
    written: float


def run_rows(home: Path) -> list[RunRow]:
    """Runs of the instance in a Dagster home, the newest first.

    Parameters
    ----------
    home : Path

    Returns
    -------
    list of RunRow
    """
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return [_row(record) for record in instance.get_run_records()]


def _row(record: dg.RunRecord) -> RunRow:
    run = record.dagster_run
    began = record.start_time or record.create_timestamp.timestamp()
    tables: Sequence[str] = sorted(key.to_user_string() for key in run.asset_selection or ())
    return RunRow(
        "tables" if run.job_name.startswith("__") else run.job_name,
        run.status.value.lower(),
        partitions_of(run),
        tuple(tables),
        began,
        max((record.end_time or began) - began, 0.0),
        *(float(run.tags.get(tag, "nan").lstrip("<")) for tag in TAGS),
    )


def _numbers(path: str) -> dict[str, int]:
    """Numbers of a file of ``/proc`` by name; none where the system has no such file."""
    try:
        text = Path(path).read_text()
    except OSError:
        return {}
    return {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE)}
