"""Dagster's own staleness and that of ``mg run`` are the same for the same lake."""

import dagster as dg
import pytest
from dagster._utils.test.data_versions import get_stale_status_resolver

from mg_assets.assets import ASSETS, TABLES
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource
from mg_assets.sources import build_source

DAYS = [str(d) for d in trading_days("2023-01-03", "2023-02-10")]
MARKET = {"stocks": 30, "end": "2023-03-01", "tick_start": "2023-02-27", "seed": 5}
DAILY_TABLES = ("reference", "planted_signal", "daily_bars", "labels")
WEEKS = ["2023-01-02", "2023-01-09", "2023-01-16", "2023-01-30", "2023-02-06"]
COVERED = ("reference", "planted_signal", "daily_bars", "labels", "weekly_bars")


@pytest.fixture
def graph(tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        graph = Graph(instance, Lake(tmp_path / "lake"))
        graph.make(DAILY_TABLES, DAYS[0], DAYS[-1])
        graph.make(("weekly_bars",), WEEKS[0], WEEKS[-1])
        yield graph


class Graph:
    """Part of the graph on a small lake, with an instance of Dagster of its own."""

    def __init__(self, instance: dg.DagsterInstance, lake: Lake):
        self.instance, self.lake = instance, lake

    def make(self, tables: tuple[str, ...], first: str, last: str, **market) -> None:
        span = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        result = dg.materialize(
            ASSETS,
            selection=list(tables),
            instance=self.instance,
            tags=span,
            resources={
                "lake": LakeResource(root=self.lake.root),
                "source": SourceResource(kind="simulated", options=MARKET | market),
                "compute": ComputeResource(workers=1),
            },
        )
        assert result.success

    def stale_for_dagster(self) -> dict[str, list[str]]:
        resolver = get_stale_status_resolver(self.instance, [*ASSETS])
        return {
            table: [
                key
                for key in self.keys(table)
                if resolver.get_status(dg.AssetKey(table), key).value in ("STALE", "MISSING")
            ]
            for table in COVERED
        }

    def stale_for_run(self) -> dict[str, list[str]]:
        source = build_source("simulated", MARKET)
        return {table: TABLES.stale(self.lake, source, table, self.keys(table)) for table in COVERED}

    @staticmethod
    def keys(table: str) -> list[str]:
        return WEEKS if table == "weekly_bars" else DAYS

    def version(self, table: str, key: str) -> str:
        event = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(table), asset_partitions=[key]), limit=1
        ).records[0]
        return event.asset_materialization.tags["dagster/data_version"]


def both(graph: Graph) -> dict[str, list[str]]:
    """What is stale, once both have said the same."""
    dagster, run = graph.stale_for_dagster(), graph.stale_for_run()
    assert dagster == run
    return {table: keys for table, keys in run.items() if keys}


def test_nothing_is_stale_after_a_run(graph):
    assert both(graph) == {}
    for table in COVERED:
        info = graph.lake.info(table)
        assert {k: graph.version(table, k) for k in graph.keys(table)} == {k: i.digest for k, i in info.items()}
    assert len({i.digest for i in graph.lake.info("daily_bars").values()}) == len(DAYS)


def test_the_same_content_again_makes_nothing_stale(graph):
    graph.make(("daily_bars",), DAYS[3], DAYS[5])
    assert both(graph) == {}


def test_other_content_makes_its_readers_stale_in_both(graph):
    """One day is made from another market; what reads it is stale, and it itself for ``mg run``."""
    day = DAYS[8]
    graph.make(("daily_bars",), day, day, seed=6)
    run = graph.stale_for_run()
    assert run.pop("daily_bars") == [day]  # its source is another now: a file that Dagster does not look at
    dagster = graph.stale_for_dagster()
    assert dagster.pop("daily_bars") == []
    assert dagster == run
    assert run["labels"] == DAYS[:9]
    assert run["weekly_bars"] == ["2023-01-09"]
    assert run["reference"] == run["planted_signal"] == []


def test_another_recipe_is_stale_in_both(graph, monkeypatch):
    assert {spec.code_version for asset in ASSETS for spec in asset.specs if spec.key.path == ["labels"]} == {
        TABLES.recipe("labels")
    }
    for key in DAYS[:2]:  # as an earlier release made them
        info = graph.lake.info("labels")[key]
        graph.lake.write("labels", key, graph.lake.table("labels", key), {**info.metadata, "recipe": "earlier"})
        tags = {"dagster/code_version": "earlier", "dagster/data_version": info.digest}
        graph.instance.report_runless_asset_event(dg.AssetMaterialization("labels", partition=key, tags=tags))
    run, dagster = graph.stale_for_run(), graph.stale_for_dagster()
    assert run["labels"] == dagster["labels"] == DAYS[:2]
