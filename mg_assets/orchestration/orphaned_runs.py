"""Ends runs whose process was killed: nothing else would, and they would hold their concurrency slots indefinitely.

A run of ``mg run`` carries the host, the id and the start time of its process in a tag. The next ``mg run`` marks runs
that are open while their process is gone as failed, and frees their slots in pools (``gpu``). Runs of other machines,
and those that Dagster's own launcher started, are left alone.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

TAG = ".dagster/mg_process"  # of a prefix that Dagster keeps from its pages: it names nothing that a person looks for
OPEN = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def process_tag() -> dict[str, str]:
    """The tag of a run of this process."""
    return {TAG: f"{socket.gethostname()} {os.getpid()} {_process_start_time(os.getpid())}"}


def end_orphaned_runs(instance: dg.DagsterInstance) -> Iterator[str]:
    """Mark orphaned runs as failed and free their concurrency slots; yields their ids."""
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=OPEN)):
        host, _, process = run.tags.get(TAG, "").partition(" ")
        number, _, started = process.partition(" ")
        if host != socket.gethostname() or not number.isdecimal():  # a tag can be written by hand in the launchpad
            continue
        if _process_start_time(int(number)) == started:
            continue
        instance.report_run_failed(run, "the process exited without reporting (killed or host down)")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        yield run.run_id


def _process_start_time(process: int) -> str:
    """Start time of a process in ticks since boot, as ids are reused; empty where it has ended."""
    try:
        state, *rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]
