"""A training's GPU: asked of the launcher by the run's tags, and missed in one line where it does not arrive."""

import json

import dagster as dg
import pytest
import torch
from dagster._core.instance.ref import ConfigurableClassData

from mg_assets.automation import retrain_job
from mg_assets.errors import DataError
from mg_assets.modelling.device import torch_device
from mg_assets.orchestration.lake_asset import _backfill_policy, gpu_launcher
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY
from mg_assets.orchestration.resources import ComputeResource


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_runs_that_train_ask_their_launcher_for_a_gpu():
    kubernetes = json.loads(retrain_job.tags["dagster-k8s/config"])
    assert kubernetes["container_config"]["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert json.loads(retrain_job.tags["dagster-ray/config"]) == {"num_gpus": 1}


def test_half_years_spread_over_runs_where_the_settings_say_so():
    assert _backfill_policy(HALF_YEARLY, False, 1).max_partitions_per_run == 1
    assert _backfill_policy(HALF_YEARLY, False, 0) == _backfill_policy(DAILY, False, 1)  # a year and more in one


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("launcher", ["K8sRunLauncher", "RayRunLauncher"])
def test_a_promised_gpu_that_is_absent_fails_in_one_line(launcher):
    with pytest.raises(dg.Failure) as caught:
        ComputeResource(device="auto").torch_device(launcher)
    line = caught.value.description
    assert line.startswith(f"{launcher} gives a GPU to runs of the job {retrain_job.name} ")
    assert "MG_DEVICE=cpu" in line
    assert "\n" not in line
    assert ComputeResource(device="cpu").torch_device(launcher) == "cpu"
    assert ComputeResource(device="auto").torch_device() == "cpu"


@pytest.mark.usefixtures("no_gpu")
def test_a_numbered_gpu_that_is_absent_fails_too():
    with pytest.raises(DataError, match="device 'cuda:1' was requested and is absent"):
        torch_device("cuda:1")


@pytest.mark.parametrize(
    ("name", "found"),
    [("RayRunLauncher", "RayRunLauncher"), ("K8sRunLauncher", "K8sRunLauncher"), ("DefaultRunLauncher", "")],
)
def test_only_launchers_of_several_machines_promise_one(tmp_path, monkeypatch, name, found):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        data = ConfigurableClassData("any_module", name, "{}")
        reference = instance.get_ref()._replace(run_launcher_data=data)
        monkeypatch.setattr(instance, "get_ref", lambda: reference)
        assert gpu_launcher(instance) == found
    with dg.DagsterInstance.ephemeral() as passing:
        assert gpu_launcher(passing) == ""
