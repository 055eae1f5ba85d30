"""Runs whose worker died before they began: what the launcher says decides, and only a starting run is ended."""

from types import SimpleNamespace

import dagster as dg
import pytest

from mg_assets.orchestration.lost_starts import end_lost_starts


class Launcher:
    """Says of every worker what the test sets."""

    supports_check_run_worker_health = True
    says = "FAILED"

    def asked(self, run):
        """What happens meanwhile."""

    def check_run_worker_health(self, run):
        self.asked(run)
        return SimpleNamespace(status=SimpleNamespace(name=self.says), msg="node died")


@pytest.fixture
def launcher(monkeypatch):
    made = Launcher()
    monkeypatch.setattr(dg.DagsterInstance, "run_launcher", made)
    return made


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@dg.job
def nothing():
    """A job without steps."""


def starting(instance, status=dg.DagsterRunStatus.STARTING):
    return instance.create_run_for_job(nothing, status=status).run_id


def test_a_run_whose_worker_failed_is_ended(instance, launcher):
    run = starting(instance)
    begun = starting(instance, dg.DagsterRunStatus.STARTED)
    waiting = starting(instance, dg.DagsterRunStatus.NOT_STARTED)
    assert end_lost_starts(instance) == [run]
    states = [instance.get_run_by_id(one).status.value for one in (run, begun, waiting)]
    assert states == ["FAILURE", "STARTED", "NOT_STARTED"]
    (last,) = instance.all_logs(run)
    assert last.dagster_event.message == "the worker died before the run began: node died"


@pytest.mark.parametrize("says", ["RUNNING", "UNKNOWN", "NOT_FOUND", "SUCCESS"])
def test_a_worker_that_may_live_is_left_alone(instance, launcher, says):
    launcher.says = says
    run = starting(instance)
    assert end_lost_starts(instance) == []
    assert instance.get_run_by_id(run).status is dg.DagsterRunStatus.STARTING


def test_a_run_that_begins_meanwhile_is_left_alone(instance, launcher):
    def begins(run):
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", run.job_name), run.run_id)

    launcher.asked = begins
    run = starting(instance)
    assert end_lost_starts(instance) == []
    assert instance.get_run_by_id(run).status is dg.DagsterRunStatus.STARTED
