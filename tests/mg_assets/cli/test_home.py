"""The Dagster home beside a lake: made once, and migrated where an older version made it."""

import os
import shutil
import threading

import dagster as dg
import pytest

from mg_assets.cli.home import one_run, prepare_home, print_lacking
from mg_assets.cli.screen import Screen
from mg_assets.settings import Settings

OLD = """# Copied into the Dagster home beside a lake on the first run.
telemetry:
  enabled: false
event_log_storage:
  module: mg_assets.event_log  \r
  class: PooledSqliteEventLog
  config:
    base_dir: {home}/storage/events
# my own: module: mg_assets.event_log is where it was
"""


@pytest.fixture
def config(tmp_path, monkeypatch) -> Settings:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    yield Settings(lake=str(tmp_path / "lake"))
    os.environ.pop("DAGSTER_HOME", None)  # set by prepare_home


def test_a_new_home_lies_in_the_lake(config, tmp_path):
    home = prepare_home(config)
    assert home == tmp_path / "lake" / ".dagster"
    assert os.environ["DAGSTER_HOME"] == str(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs_count() == 0
    edited = (home / "dagster.yaml").read_text() + "# edited\n"
    (home / "dagster.yaml").write_text(edited)
    prepare_home(config)
    assert (home / "dagster.yaml").read_text() == edited


@dg.job
def a_job():
    """A job without steps."""


def test_a_run_from_a_terminal_names_its_repository(config):
    """The UI's timeline shows no others."""
    from mg_assets.cli.build import opened_instance

    prepare_home(config)
    with opened_instance() as instance:
        run = instance.get_run_by_id(a_job.execute_in_process(instance=instance).run_id)
    assert run.remote_job_origin.repository_origin.get_label() == "__repository__@mg_assets.definitions"
    assert run.remote_job_origin.job_name == "a_job"


@pytest.mark.parametrize("line", ["module: {}  \r", "module: '{}'", 'module: "{}"  # as it came'])
def test_only_the_line_of_an_old_event_log_is_migrated(config, tmp_path, line):
    home = tmp_path / "lake" / ".dagster"
    home.mkdir(parents=True)
    old = OLD.format(home=home).replace("module: mg_assets.event_log  \r", line.format("mg_assets.event_log")).encode()
    (home / "dagster.yaml").write_bytes(old)
    prepare_home(config)
    before, after = (
        line.format(module).encode() for module in ("mg_assets.event_log", "mg_assets.orchestration.event_log")
    )
    expected = old.replace(b"  " + before, b"  " + after, 1)
    assert (home / "dagster.yaml").read_bytes() == expected
    assert sorted(file.name for file in home.iterdir()) == ["dagster.yaml"]  # no half-written file is left


def test_an_old_home_keeps_its_runs_and_goes_on(config, tmp_path):
    @dg.asset
    def made() -> None: ...

    home = prepare_home(config)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        first = dg.materialize([made], instance=instance).run_id
    file = home / "dagster.yaml"
    file.write_text(file.read_text().replace("mg_assets.orchestration.event_log", "mg_assets.event_log"))
    prepare_home(config)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_run_by_id(first).status == dg.DagsterRunStatus.SUCCESS
        assert len(instance.all_logs(first)) > 5
        second = dg.materialize([made], instance=instance).run_id
        records = instance.fetch_materializations(dg.AssetKey("made"), limit=10).records
        assert [record.run_id for record in records] == [second, first]


def test_the_home_of_a_moved_lake_is_its_own(config, tmp_path):
    home = prepare_home(config)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("daily_bars"))
    (home / "dagster.yaml").write_text((home / "dagster.yaml").read_text() + "# base_dir: /x/.dagster/storage/runs\n")
    kept = (home / "dagster.yaml").read_bytes()
    os.rename(tmp_path / "lake", tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    for place in ("moved", "copy"):
        os.environ.pop("DAGSTER_HOME")
        own = prepare_home(Settings(lake=str(tmp_path / place)))
        assert (own / "dagster.yaml").read_bytes() == kept.replace(f": '{home}".encode(), f": '{own}".encode())
        with dg.DagsterInstance.from_config(str(own)) as instance:
            assert instance.all_asset_keys() == [dg.AssetKey("daily_bars")]
            instance.report_runless_asset_event(dg.AssetMaterialization(f"of_{place}"))
    with dg.DagsterInstance.from_config(str(tmp_path / "moved" / ".dagster")) as instance:
        assert {k.path[0] for k in instance.all_asset_keys()} == {"daily_bars", "of_moved"}
    assert not (tmp_path / "lake").exists()


def test_storage_that_lies_elsewhere_stays_there(config, tmp_path):
    home = prepare_home(config)
    elsewhere = (home / "dagster.yaml").read_text().replace(f"{home}/storage/runs", "/fast/dagster/storage/runs")
    (home / "dagster.yaml").write_text(elsewhere)
    prepare_home(config)
    assert (home / "dagster.yaml").read_text() == elsewhere


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", ["lake #1", "lake: a", 'it\'s "mine"'])
def test_a_lake_of_any_name_keeps_its_storage_inside(tmp_path, config, name, old):
    lake = tmp_path / name
    if old:
        file = lake / ".dagster" / "dagster.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(OLD.format(home=file.parent).replace("mg_assets.event_log  \r", "mg_assets.event_log"))
    for _ in range(2):
        home = prepare_home(Settings(lake=str(lake)))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            instance.report_runless_asset_event(dg.AssetMaterialization("made"))
    assert list((home / "storage" / "events").glob("*.db"))
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_what_an_old_home_lacks_is_named(config, capsys):
    home = prepare_home(config)
    print_lacking(home)
    assert capsys.readouterr().err == ""
    file = home / "dagster.yaml"
    file.write_text(file.read_text().partition("run_monitoring:")[0])
    print_lacking(home)
    assert capsys.readouterr().err == f"{file} lacks run_monitoring: copy from deploy/dagster.yaml\n"


def test_a_second_run_of_a_lake_says_so_and_waits(tmp_path, capsys):
    began, ended = threading.Event(), threading.Event()

    def second():
        began.set()
        with one_run(tmp_path, Screen()):
            ended.set()

    thread = threading.Thread(target=second)
    with one_run(tmp_path, Screen()):
        thread.start()
        began.wait(5)
        assert not ended.wait(0.2)
    assert ended.wait(5)
    thread.join()
    assert f"another mg run (process {os.getpid()}) builds this lake" in capsys.readouterr().out
    with one_run(tmp_path, Screen()):  # a run that is alone has nothing to say
        assert capsys.readouterr().out == ""
