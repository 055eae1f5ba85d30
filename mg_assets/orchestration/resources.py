"""Dagster resources: the lake, the source, and the machine that computes."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from mg_assets.errors import DataError
from mg_assets.lake.filtered import LakeWithout
from mg_assets.lake.store import Lake
from mg_assets.modelling.device import torch_device
from mg_assets.orchestration.run_usage import metered
from mg_assets.settings import settings
from mg_assets.sources import build_source
from mg_assets.sources.base import Source

GPU_LAUNCHERS = ("K8sRunLauncher", "RayRunLauncher")
"""Launchers of Dagster that give a run the devices that its tags ask for."""


def gpu_launcher(instance: dg.DagsterInstance) -> str:
    """The launcher that gives a run its GPU; empty where runs use what their machine has."""
    launcher = instance.get_ref().run_launcher_data if instance.is_persistent else None
    return launcher.class_name if launcher and launcher.class_name in GPU_LAUNCHERS else ""


class LakeResource(dg.ConfigurableResource):
    """The lake that tables are read from and written to."""

    root: str = Field(default_factory=lambda: settings().lake_url, description="Folder or fsspec URL (MG_LAKE)")
    without: dict = Field(default={}, description="Keys of partitions that count as absent, by table")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["LakeResource"]:
        """Give the resource to a run, and measure what that uses of the machine: every job has a lake, once a run.

        Yields
        ------
        LakeResource
        """
        with metered(context.instance, context.run):
            yield self

    def open(self) -> Lake:
        """Open the lake."""
        return LakeWithout(self.root, self.without) if self.without else Lake(self.root)


class SourceResource(dg.ConfigurableResource):
    """Where raw tables come from."""

    kind: str = Field(
        default_factory=lambda: settings().source.kind,
        description="simulated, tonglian, qlib, mapped or composite (MG_SOURCE)",
    )
    options: dict = Field(
        default_factory=lambda: settings().source.options,
        description="Options of that source",
    )

    def open(self) -> Source:
        """Build the source."""
        return build_source(self.kind, dict(self.options))


class ComputeResource(dg.ConfigurableResource):
    """The device and the workers of a computation."""

    device: str = Field(
        default_factory=lambda: settings().device, description="auto, cpu, cuda or mps (MG_DEVICE); auto falls back"
    )
    require_gpu: bool = Field(default=False, description="Fail where no GPU is found instead of using the CPU")
    workers: int = Field(
        default_factory=lambda: settings().worker_count, description="Threads and processes inside an asset"
    )

    def torch_device(self, promised_by: str = "") -> str:
        """The device that training uses: the one that was requested, or the best there is.

        Parameters
        ----------
        promised_by : str
            The launcher that was to give this run a GPU, if any.

        Returns
        -------
        str

        Raises
        ------
        Failure
            It is absent.
        """
        try:
            return torch_device(self.device, self.require_gpu, promised_by)
        except DataError as error:
            raise dg.Failure(str(error)) from error


OPEN_TO_RUNS: dict[str, dict[str, dg.Field]] = {
    "lake": {
        "without": dg.Field(
            dg.Permissive(),
            default_value={},
            is_required=False,
            description="Keys of partitions that count as absent, by table",
        )
    },
    "source": {},
}
"""What a run's config may set of the resources that name places: they stay those of the settings."""


def deployed_resources() -> dict[str, dg.ResourceDefinition | ComputeResource]:
    """The resources of the deployment's graph.

    Lake and source are those of the settings: a run's config cannot set where they are, only what
    :data:`OPEN_TO_RUNS` names.

    Returns
    -------
    dict
        By the name that assets ask for them.
    """
    fixed = {"lake": LakeResource(), "source": SourceResource()}
    # Dagster's own keeps pickles in a folder that a run's config may name; nothing is passed through it here
    out: dict[str, dg.ResourceDefinition | ComputeResource] = {
        "compute": ComputeResource(),
        "io_manager": dg.mem_io_manager.configured(lambda given: given, config_schema={}),
    }
    for name, resource in fixed.items():
        out[name] = resource.get_resource_definition().configured(
            lambda given: given, config_schema=OPEN_TO_RUNS[name], description=resource.__doc__
        )
    return out
