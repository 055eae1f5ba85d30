"""Runs that train ask the launcher of several machines for a GPU, from whichever page of the UI they were started.

Launchers read the tags of a run. Those of a step never reach them, and a run that the asset graph starts has no job
with tags. ``deploy/cluster/dagster.yaml`` and ``deploy/kubernetes/dagster.yaml`` name :class:`GpuRunCoordinator`.
"""

import json
from typing import Any

import dagster as dg

from mg_assets.settings import settings

MODEL_SUFFIX = "_model"
"""Of the tables of weights, and of nothing else."""


def gpu_tags() -> dict[str, Any]:
    """Tags by which Ray's and Kubernetes' launcher give a run one GPU; none where the settings train on the CPU."""
    if settings().device == "cpu":
        return {}
    return {
        "dagster-k8s/config": {"container_config": {"resources": {"limits": {"nvidia.com/gpu": 1}}}},
        "dagster-ray/config": {"num_gpus": 1},
    }


def trains(run: dg.DagsterRun) -> bool:
    """Whether a run of chosen assets trains a model."""
    return any(key.path[-1].endswith(MODEL_SUFFIX) for key in run.asset_selection or ())


class GpuRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue; a run that trains gets :func:`gpu_tags`, where it has none of its own."""

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue a run."""
        run = context.dagster_run
        lacking = {key: json.dumps(value) for key, value in gpu_tags().items() if key not in run.tags}
        if lacking and trains(run):
            self._instance.add_run_tags(run.run_id, lacking)
        return super().submit_run(context)
