"""What a person at the launchpad may set: nothing that names a place."""

import json

import dagster as dg
import pytest

from mg_assets.automation import JOBS
from mg_assets.definitions import defs
from mg_assets.orchestration.orphaned_runs import TAG, end_orphaned_runs, process_tag
from mg_assets.orchestration.resources import LakeResource, SourceResource, deployed_resources
from mg_assets.settings import settings

ELSEWHERE = "/elsewhere"
PLACES = [
    {"resources": {"lake": {"config": {"root": ELSEWHERE}}}},
    {"resources": {"lake": {"config": {"root": ELSEWHERE, "without": {}}}}},
    {"resources": {"source": {"config": {"kind": "qlib"}}}},
    {"resources": {"source": {"config": {"options": {"root": ELSEWHERE}}}}},
    {"resources": {"io_manager": {"config": {"base_dir": ELSEWHERE}}}},
    {"execution": {"config": {"multiprocess": {}}}},
]


@pytest.fixture(scope="module")
def jobs():
    return {name: defs.resolve_job_def(name) for name in ("__ASSET_JOB", *(job.name for job in JOBS))}


@pytest.mark.parametrize("config", PLACES, ids=lambda c: json.dumps(c)[:50])
def test_no_run_config_points_outside_the_deployment(jobs, config):
    for job in jobs.values():
        with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entr"):
            dg.validate_run_config(job, config)


def test_a_run_sets_nothing_else_of_its_resources(jobs):
    open_fields = {
        name: set(definition.config_schema.config_type.fields)
        for job in jobs.values()
        for name, definition in job.resource_defs.items()
    }
    assert open_fields == {
        "lake": {"without"}, "source": set(), "io_manager": set(), "compute": {"device", "require_gpu", "workers"},
    }  # fmt: skip


def test_a_run_may_hide_partitions_and_choose_its_workers(jobs):
    compute = {"config": {"device": "cpu", "workers": 1}}
    asked = {"lake": {"config": {"without": {"labels": ["2023-01-03"]}}}, "compute": compute}
    found = dg.validate_run_config(jobs["daily_after_close"], {"resources": asked})["resources"]
    assert found["lake"]["config"]["without"] == {"labels": ["2023-01-03"]}
    assert found["compute"]["config"]["workers"] == 1


def test_assets_get_the_lake_of_the_settings():
    seen = []

    @dg.asset
    def reader(lake: LakeResource, source: SourceResource) -> None:
        seen.append((lake.open().root, lake.without, source.kind))

    hidden = {"resources": {"lake": {"config": {"without": {"labels": ["2023-01-03"]}}}}}
    assert dg.materialize([reader], resources=deployed_resources(), run_config=hidden).success
    assert seen == [(settings().lake_url, {"labels": ["2023-01-03"]}, settings().source.kind)]


@pytest.mark.parametrize("given", ["here now then", "here -1 2", "here", ""])
def test_a_tag_written_by_hand_ends_no_run(given):
    host = process_tag()[TAG].partition(" ")[0]
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.DagsterRun(job_name="x", status=dg.DagsterRunStatus.STARTED, tags={TAG: given.replace("here", host)})
        instance.add_run(run)
        assert list(end_orphaned_runs(instance)) == []
