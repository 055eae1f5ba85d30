"""Ends the runs whose process was killed: nobody else would, and they would hold their pool's places for ever.

A run of ``mg run`` bears the machine, the number and the starting time of its process in a tag. When the next one
begins, runs that are said to go on while their process is gone are marked as failed, and their places in pools
(``gpu``) are free again. Runs of other machines, and those that Dagster's own launcher started, are left alone.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

TAG = "mg/process"
OPEN = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def tag() -> dict[str, str]:
    """The tag of a run of this process."""
    return {TAG: f"{socket.gethostname()} {os.getpid()} {_born(os.getpid())}"}


def end(instance: dg.DagsterInstance) -> Iterator[str]:
    """Mark abandoned runs as failed and free their places; yields their ids."""
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=OPEN)):
        host, _, process = run.tags.get(TAG, "").partition(" ")
        number, _, born = process.partition(" ")
        if host != socket.gethostname() or _born(int(number)) == born:
            continue
        instance.report_run_failed(run, "its process ended without a word: killed, or the machine went down")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        yield run.run_id


def _born(process: int) -> str:
    """When a process began, in ticks since the machine did; empty where it has ended. Numbers are used again."""
    try:
        state, *rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]
