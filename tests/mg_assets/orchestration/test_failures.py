"""A bad partition stops itself and what reads it: inside a step, across tables, and in what Dagster records."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from mg_assets.errors import DamagedPartitionError, DataError, SourceError
from mg_assets.lake.filtered import LakeWithout
from mg_assets.lake.store import Lake
from mg_assets.lake.unchecked import UNCHECKED
from mg_assets.lake.window import UpstreamWindow
from mg_assets.orchestration import callbacks, checks, write_step
from mg_assets.orchestration.failures import unreadable
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.orchestration.partitions import WEEKLY
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource
from mg_assets.orchestration.staleness import TableRegistry
from mg_assets.sources.base import StreamedDay

DAYS = ["2023-02-01", "2023-02-02", "2023-02-03", "2023-02-06", "2023-02-07", "2023-02-08"]
BAD = DAYS[2]
WEEKS = ["2023-01-30", "2023-02-06", "2023-02-13"]


def frame(value: float) -> pd.DataFrame:
    return pd.DataFrame({"symbol": ["600519.SH"], "value": [value]})


def read_file(key: str) -> Built:
    if key == BAD:
        raise SourceError(f"/data/{key}.csv ends inside a row: fetch it again")
    return Built(key, frame(1.0))


@lake_asset("raw", group="raw")
def raw(build: Build) -> Iterator[Built]:
    return build.each(read_file)


@lake_asset("batch", group="raw")
def batch(build: Build) -> Iterator[Built]:
    """Reads all days before it makes the first, as the daily factors do."""
    made = [read_file(key) for key in build.keys]
    yield from made


@lake_asset("mean", group="raw", needs=[UpstreamWindow("raw", back=1)])
def mean(build: Build) -> Iterator[Built]:
    return build.each(lambda key: Built(key, frame(build.lake.read("raw", build.lake.keys("raw"))["value"].mean())))


@lake_asset("weights", group="raw", partitions=WEEKLY, needs=["weights"], single_run=True)
def weights(build: Build) -> Iterator[Built]:
    for key in build.keys:
        if key == WEEKS[1]:
            raise DataError("no score in the week")
        yield Built(key, frame(2.0))


@lake_asset("coded", group="raw")
def coded(build: Build) -> Iterator[Built]:
    for key in build.keys:
        if key == BAD:
            raise ZeroDivisionError("a bug")
        yield Built(key, frame(3.0))


@lake_asset("streamed", group="raw")
def streamed(build: Build) -> Iterator[Built]:
    """Rows are read while they are written."""

    def make(key: str) -> Built:
        def pieces():
            yield pa.Table.from_pandas(read_file(key).frame, preserve_index=False)

        return Built(key, StreamedDay(pieces, lambda rows: (pd.DataFrame(), {})))

    return build.each(make)


REGISTRY = TableRegistry(e for a in (raw, batch, mean, weights, coded, streamed) for e in a.entries)


class Outcome:
    """A finished run of one asset: what is in the lake, what Dagster recorded, what failed and with which text."""

    def __init__(self, root, asset, first, last):
        self.lake = Lake(root)
        self.failed: dict[str, Exception] = {}
        name = asset.tables[0]
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [asset.definition(REGISTRY)],
                instance=instance,
                tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
                resources={
                    "lake": LakeResource(root=str(root)),
                    "source": SourceResource(kind="simulated"),
                    "compute": ComputeResource(workers=2),
                },
                raise_on_error=False,
            )
            self.recorded = sorted(instance.get_materialized_partitions(dg.AssetKey(name)))
        self.success = result.success
        self.errors = [e.step_failure_data for e in result.all_events if e.is_step_failure]
        self.keys = self.lake.keys(name)

    @property
    def text(self) -> str:
        return self.errors[0].user_failure_data.description


@pytest.fixture
def run(tmp_path, monkeypatch):
    failed: dict[str, Exception] = {}
    monkeypatch.setattr(callbacks, "on_failure", lambda table, key, error: failed.setdefault(key, error))

    def go(asset, first=DAYS[0], last=DAYS[-1]) -> Outcome:
        failed.clear()
        found = Outcome(tmp_path, asset, first, last)
        found.failed = dict(failed)
        return found

    return go


@pytest.mark.parametrize("asset", [raw, batch, streamed], ids=lambda a: a.tables[0])
def test_the_other_days_of_a_range_are_made(run, asset):
    found = run(asset)
    assert not found.success
    good = [d for d in DAYS if d != BAD]
    assert found.keys == found.recorded == good
    assert list(found.failed) == [BAD]
    assert "1 of 6 partitions could not be made" in found.text
    assert f"{BAD}: /data/{BAD}.csv ends inside a row: fetch it again" in found.text
    assert BAD in found.errors[0].user_failure_data.metadata["failed"].value


def test_a_chain_is_not_continued_past_its_failure(run):
    found = run(weights, WEEKS[0], WEEKS[-1])
    assert found.keys == found.recorded == WEEKS[:1]
    assert list(found.failed) == [WEEKS[1]]
    assert "1 partitions that follow were not attempted, first 2023-02-13" in found.text


def test_a_chain_is_not_continued_past_a_rejected_week(run, tmp_path):
    lake = Lake(tmp_path)
    lake.write("weights", WEEKS[0], frame(2.0))
    lake.record_check_failures("weights", WEEKS[0], ["sums"])
    lake.write("weights", WEEKS[1], frame(2.0))
    found = run(weights, WEEKS[2], WEEKS[2])
    assert found.keys == WEEKS[:2]
    assert "weights 2023-01-30, which the blocking check sums rejected" in found.text


def test_an_error_of_the_code_ends_the_step_with_its_traceback(run):
    found = run(coded)
    assert found.keys == found.recorded == DAYS[:2]
    assert found.failed == {}
    error = found.errors[0].error
    assert (error.cls_name, error.cause.cls_name) == ("DagsterExecutionStepExecutionError", "ZeroDivisionError")
    assert any("in coded" in line for line in error.cause.stack)


def test_a_rejected_day_refuses_only_what_reads_it(run, tmp_path):
    lake = Lake(tmp_path)
    for key in DAYS:
        lake.write("raw", key, frame(1.0))
    lake.record_check_failures("raw", BAD, ["values"])
    found = run(mean)
    assert found.keys == found.recorded == [*DAYS[:2], *DAYS[4:]]
    assert list(found.failed) == DAYS[2:4]  # the day, and the day whose window holds it
    assert f"raw {BAD}, which the blocking check values rejected" in found.text
    assert "accepted in the settings" in found.text


def test_a_damaged_day_refuses_only_what_reads_it(run, tmp_path):
    lake = Lake(tmp_path)
    for key in DAYS:
        lake.write("raw", key, frame(1.0))
    (tmp_path / "raw" / f"date={BAD}" / "part.parquet").write_bytes(b"no parquet")
    found = unreadable(REGISTRY, Lake(tmp_path), "mean", DAYS)
    assert list(found) == DAYS[2:4]
    assert all(isinstance(e, DamagedPartitionError) for e in found.values())


def test_without_a_step_the_error_is_raised():
    build = Build(DAYS, Lake("/nowhere"), lambda: None, 2, lambda: "cpu", print)  # type: ignore[arg-type, return-value]
    with pytest.raises(SourceError, match="fetch it again"):
        list(build.each(read_file))


def test_a_lake_without_partitions_hides_them(tmp_path):
    for key in DAYS:
        Lake(tmp_path).write("raw", key, frame(1.0))
    lake = LakeWithout(str(tmp_path), {"raw": [BAD]})
    assert lake.keys("raw") == list(lake.info("raw")) == [d for d in DAYS if d != BAD]
    assert not lake.has("raw", BAD)
    assert lake.panel("raw", DAYS, ["value"], missing="empty").present[:, 0].tolist() == [d != BAD for d in DAYS]
    assert LakeResource(root=str(tmp_path), without={"raw": [BAD]}).open().keys("raw") == lake.keys("raw")


def test_what_no_check_has_seen_is_not_read(tmp_path):
    """A run that ends between writing and checking leaves its list; what it had not rewritten stays readable."""
    lake = Lake(tmp_path)
    for key in DAYS:
        lake.write("raw", key, frame(1.0))
    lake.unchecked("raw").write("run", {k: i.digest for k, i in lake.info("raw").items()})
    lake.write("raw", BAD, frame(7.0))
    lake.write("raw", DAYS[0], frame(1.0))  # the same content again
    assert [k for k in DAYS if lake.rejected("raw", k)] == [BAD]
    assert lake.rejected("raw", BAD) == [UNCHECKED]
    assert list(unreadable(REGISTRY, lake, "mean", DAYS)) == DAYS[2:4]
    checks.record_outcomes("labels", lake, [BAD], [])
    assert lake.rejected("raw", BAD) == [UNCHECKED]  # another table's checks
    lake.unchecked("raw").remove([BAD])
    assert not lake.rejected("raw", BAD)
    lake.unchecked("raw").remove(DAYS)
    assert lake.unchecked("raw").read() == {}


def test_a_repaired_day_leaves_no_quarantine(tmp_path):
    """Of a table that is not raw too: daily bars that come straight from the source have invalid rows."""
    lake = Lake(tmp_path / "lake")
    (entry,) = raw.entries
    invalid = pd.DataFrame(
        {"table": ["raw"], "symbol": ["600519.SH"], "file": ["a.csv"], "row": [3], "reason": ["x"], "content": ["y"]}
    )
    assert write_step._quarantine(lake, entry, Built(BAD, frame(1.0), quarantine=invalid)) == 1
    assert lake.keys("quarantine_raw") == [BAD]
    assert write_step._quarantine(lake, entry, Built(BAD, frame(1.0))) == 0
    assert lake.keys("quarantine_raw") == []
