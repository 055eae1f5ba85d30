"""A training's GPU: asked of the launcher by the run's tags, and missed in one line where it does not arrive."""

import json
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import torch
import yaml
from dagster._core.instance.ref import ConfigurableClassData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from mg_assets.assets import ASSETS
from mg_assets.automation import retrain_job
from mg_assets.errors import DataError
from mg_assets.modelling.device import torch_device
from mg_assets.orchestration import training_runs
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


def submitted(folder, selection: list[str] | None, **tags: str) -> dict[str, str]:
    """Tags of a run that the UI starts, once it is in the queue of a Dagster home of several machines."""
    folder.mkdir()
    queue = "{module: mg_assets.orchestration.training_runs, class: TrainingRunCoordinator}"
    (folder / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\nrun_coordinator: {queue}\n")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        chosen = None if selection is None else frozenset(map(dg.AssetKey, selection))
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("mg"), "repository"), "job")
        run = create_run_for_test(instance, asset_selection=chosen, tags=tags, remote_job_origin=origin)
        queued = instance.run_coordinator.submit_run(dg.SubmitRunContext(run, None))
        assert queued.status == dg.DagsterRunStatus.QUEUED
        assert instance.get_run_by_id(run.run_id).tags == queued.tags
        return dict(queued.tags)


def test_a_run_of_the_asset_graph_that_trains_asks_too(tmp_path, monkeypatch):
    asked = submitted(tmp_path / "a", ["hf_gru_model", "labels"])
    assert asked.items() >= retrain_job.tags.items()
    own = json.dumps({"num_gpus": 2})
    assert submitted(tmp_path / "b", ["hf_gru_model"], **{"dagster-ray/config": own})["dagster-ray/config"] == own
    for name, selection in (("c", ["labels"]), ("d", None)):
        assert "dagster-ray/config" not in submitted(tmp_path / name, selection)
    monkeypatch.setattr(training_runs, "settings", lambda: SimpleNamespace(device="cpu"))
    assert "dagster-ray/config" not in submitted(tmp_path / "e", ["hf_gru_model"])


def test_a_training_asked_for_twice_waits_for_the_first(tmp_path):
    span = {f"dagster/asset_partition_range_{end}": "2023-01-01" for end in ("start", "end")}
    models = [f"{letter}_model" for letter in "abcdefgh"]  # a selection is a set: without sorting, in any order
    twice = [submitted(tmp_path / n, chosen, **span) for n, chosen in (("a", models), ("b", models[::-1]))]
    assert [tags[training_runs.TRAINS] for tags in twice] == [" ".join((*models, "2023-01-01"))] * 2
    one = submitted(tmp_path / "c", ["hf_gru_model"], **{"dagster/partition": "2023-01-01"})
    assert one[training_runs.TRAINS] == "hf_gru_model 2023-01-01"
    assert training_runs.TRAINS not in submitted(tmp_path / "d", ["labels"], **span)


def test_tables_of_weights_are_those_that_train():
    trained = {spec.key.path[-1] for asset in ASSETS for spec in asset.specs if asset.op.pool == "gpu"}
    tables = {spec.key.path[-1] for asset in ASSETS for spec in asset.specs}
    assert trained == {table for table in tables if table.endswith(training_runs.MODEL_SUFFIX)}
    assert "hf_gru_model" in trained


@pytest.mark.parametrize("place", ["cluster", "kubernetes"])
def test_homes_of_several_machines_name_that_queue(place):
    home = yaml.safe_load((Path(__file__).parents[3] / "deploy" / place / "dagster.yaml").read_text())
    each = {"key": training_runs.TRAINS, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
    assert home["concurrency"]["runs"]["tag_concurrency_limits"] == [each]
    assert home["run_coordinator"]["module"] == training_runs.__name__
    assert home["run_coordinator"]["class"] == training_runs.TrainingRunCoordinator.__name__


def test_half_years_spread_over_runs_where_the_settings_say_so():
    assert _backfill_policy(HALF_YEARLY, False, 1).max_partitions_per_run == 1
    assert _backfill_policy(HALF_YEARLY, False, 0) == _backfill_policy(DAILY, False, 1)  # a year and more in one


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("launcher", ["K8sRunLauncher", "RayRunLauncher"])
def test_a_promised_gpu_that_is_absent_fails_in_one_line(launcher):
    with pytest.raises(dg.Failure) as caught:
        ComputeResource(device="auto").torch_device(launcher)
    line = caught.value.description
    assert line.startswith(f"{launcher} gives a GPU to every run that trains ")
    assert training_runs.TrainingRunCoordinator.__name__ in line
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
