"""The daemon gives back the place in a pool that a dead run holds, by the settings of every Dagster home."""

import datetime as dt
import logging
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from dagster._daemon.monitoring import concurrency

from mg_assets.cli.home import prepare_home
from mg_assets.settings import CHECKOUT, Settings

HOMES = [CHECKOUT / "deploy" / name for name in ("dagster.yaml", "cluster/dagster.yaml", "kubernetes/dagster.yaml")]


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.from_config(str(prepare_home(Settings(lake=str(tmp_path / "lake"))))) as found:
        yield found


def free_slots(instance: dg.DagsterInstance, seconds: float, monkeypatch) -> int:
    """What the daemon does ``seconds`` from now; the slots of the pool that are taken afterwards."""
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    monkeypatch.setattr(concurrency, "get_current_datetime", lambda: later)
    process = SimpleNamespace(instance=instance)
    list(concurrency.execute_concurrency_slots_iteration(process, logging.getLogger(__name__)))
    return instance.event_log_storage.get_concurrency_info("gpu").active_slot_count


def test_a_dead_run_gives_its_slot_back(instance, monkeypatch):
    alive, dead = (instance.create_run_for_job(noop, status=dg.DagsterRunStatus.STARTED) for _ in range(2))
    log = instance.event_log_storage
    log.set_concurrency_slots("gpu", 2)
    for run in (alive, dead):
        assert log.claim_concurrency_slot("gpu", run.run_id, "step").is_claimed
    instance.report_run_failed(dead, "Run execution process unexpectedly exited")  # the code server's words
    seconds = instance.run_monitoring_settings["free_slots_after_run_end_seconds"]
    assert free_slots(instance, seconds / 2, monkeypatch) == 2  # it may still be about to free it itself
    assert free_slots(instance, seconds * 2, monkeypatch) == 1
    assert log.get_concurrency_run_ids() == {alive.run_id}


@pytest.mark.parametrize("file", HOMES, ids=lambda f: f.parent.name)
def test_every_home_monitors_its_runs(file):
    config = yaml.safe_load(file.read_text())
    monitoring = config["run_monitoring"]
    assert monitoring["enabled"]
    assert monitoring["free_slots_after_run_end_seconds"] > 0
    assert monitoring["max_resume_run_attempts"] == 0  # a run begins again as a retry, with what it lacks
    assert config["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}


@dg.job
def noop() -> None: ...
