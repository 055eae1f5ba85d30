"""The queue of several machines: a run that trains asks for a GPU, and never beside a run that trains the same.

Launchers read the tags of a run. Those of a step never reach them, and a run that the asset graph starts has no job
with tags. ``deploy/cluster/dagster.yaml`` and ``deploy/kubernetes/dagster.yaml`` name :class:`TrainingRunCoordinator`,
and let one run at a time have a value of :data:`TRAINS`: the second then takes over what the first has stored.
"""

import json
from typing import Any

import dagster as dg

from mg_assets.settings import settings

MODEL_SUFFIX = "_model"
"""Of the tables of weights, and of nothing else."""
TRAINS = "mg/trains"
"""Tag of a run that trains: its models and half-years."""


def gpu_tags() -> dict[str, Any]:
    """Tags by which Ray's and Kubernetes' launcher give a run one GPU; none where the settings train on the CPU."""
    if settings().device == "cpu":
        return {}
    return {
        "dagster-k8s/config": {"container_config": {"resources": {"limits": {"nvidia.com/gpu": 1}}}},
        "dagster-ray/config": {"num_gpus": 1},
    }


def trained(run: dg.DagsterRun) -> str:
    """The models and half-years that a run of chosen assets trains, ``hf_gru_model 2023-01-01``; empty without one."""
    models = sorted(k.path[-1] for k in run.asset_selection or () if k.path[-1].endswith(MODEL_SUFFIX))
    first, last = (run.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    ends = dict.fromkeys(filter(None, (run.tags.get("dagster/partition"), first, last)))
    return " ".join((*models, *ends)) if models else ""


class TrainingRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue; a run that trains gets :data:`TRAINS`, and :func:`gpu_tags` where it has none of its own."""

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue a run."""
        run = context.dagster_run
        if what := trained(run):
            tags = {key: json.dumps(value) for key, value in gpu_tags().items() if key not in run.tags}
            self._instance.add_run_tags(run.run_id, tags | {TRAINS: what})
        return super().submit_run(context)
