"""A lake that was copied and is opened under another path is the same lake: nothing is rebuilt, its home is its own."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import yaml

from mg_assets.lake.store import Lake
from mg_assets.lake.verify import verify_partition

REBUILT = ("monthly_bars", "2023-01-01")


def home_of(root: Path) -> Path:
    return root / ".dagster"


def materialisations(root: Path, table: str) -> int:
    with dg.DagsterInstance.from_config(str(home_of(root))) as instance:
        return len(instance.fetch_materializations(dg.AssetKey(table), limit=1000).records)


@pytest.fixture(scope="module")
def moved(built, tmp_path_factory):
    """A copy, opened through a link, with one partition gone; what ``mg run`` printed, and the files before it."""
    folder = tmp_path_factory.mktemp("moved")
    root = Path(shutil.copytree(built.folder / "lake", folder / "of another name"))
    os.symlink(root, folder / "link")
    shutil.rmtree(Lake(root).folder(*REBUILT))
    before = {p: p.stat().st_mtime_ns for p in root.rglob("part.parquet")}
    graph = replace(built, folder=folder)
    (folder / "small.yaml").write_text(yaml.safe_dump({**built.settings, "lake": str(folder / "link")}))
    counts = {r: materialisations(r, REBUILT[0]) for r in (built.folder / "lake", root)}
    return root, before, graph.run(), counts


def test_only_what_is_gone_is_rebuilt(built, moved):
    root, before, done, _ = moved
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (step,) = [line for line in done.stdout.splitlines() if "partitions of" in line]
    assert " 1 of " in step
    assert "of 1 tables" in step
    assert done.stdout.count("up to date") >= 9
    assert {p: p.stat().st_mtime_ns for p in before} == before
    old, new = (Lake(r).info(REBUILT[0])[REBUILT[1]].digest for r in (built.folder / "lake", root))
    assert new == old


def test_its_home_is_its_own(built, moved):
    root, _, _, counts = moved
    original = built.folder / "lake"
    settings = (home_of(root) / "dagster.yaml").read_text()
    assert str(home_of(original)) not in settings.split("telemetry", 1)[1]
    assert counts[original] == counts[root] == materialisations(original, REBUILT[0])
    assert materialisations(root, REBUILT[0]) == counts[root] + 1


def test_no_path_is_stored_in_what_decides(built, lake):
    """Footers, indices, cards and marks; pages and the log of events show where they were made."""
    for path in Path(lake.root).rglob("*"):
        if path.is_file() and path.suffix in (".parquet", ".json") and ".dagster" not in path.parts:
            assert str(built.folder).encode() not in path.read_bytes(), path


def test_every_table_of_a_built_lake_is_verified_whole(lake):
    """The newest partition of each: what was written is what the file gives back, whatever its columns' types."""
    for table in lake.storage.tables():
        found = verify_partition(lake, table, lake.keys(table)[-1])
        assert found.complete, table
        assert found.damages == (), table
