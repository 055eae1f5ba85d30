"""Ends runs whose worker died before they began.

Dagster's run monitoring asks the launcher about the workers of runs that have begun. A run that is starting is given
``start_timeout_seconds``, which must be above the time that a queue of the cluster or a new machine takes; where its
worker has died, it would hold its place among the concurrent runs, and its backfill, until then.
"""

import dagster as dg


def end_lost_starts(instance: dg.DagsterInstance) -> list[str]:
    """Mark starting runs as failed whose launcher says that their worker has failed.

    Parameters
    ----------
    instance : DagsterInstance

    Returns
    -------
    list of str
        Their ids. What a launcher does not know is left to the timeout.
    """
    launcher, ended = instance.run_launcher, []
    if not launcher.supports_check_run_worker_health:
        return []
    starting = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(filters=starting):
        found = launcher.check_run_worker_health(run)
        if found.status.name != "FAILED":
            continue
        now = instance.get_run_by_id(run.run_id)  # it may have begun, and ended, since
        if now is not None and now.status is dg.DagsterRunStatus.STARTING:
            instance.report_run_failed(now, f"the worker died before the run began: {found.msg}")
            ended.append(run.run_id)
    return ended
