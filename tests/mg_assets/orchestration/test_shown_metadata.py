"""What the UI shows of a graph's partitions and checks: short numbers, no blank cells, nothing of Python's own."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest

from mg_assets.assets import TABLES
from mg_assets.definitions import CHECKS

PYTHON = re.compile(r"\b(nan|NaN|None|NaT|<NA>)\b|\{'|\d\.\d{11,}")
PICTURE = re.compile(r"data:image[^)\"]*")
GROUPED = ("signal_study", "portfolio_study_")  # rows of a printed table share the name before them
KEPT_WHOLE = ("certificate",)  # read by programs


def faults(name: str, value: Any) -> Iterator[str]:
    """What a person cannot read of an entry."""
    if isinstance(value, dg.FloatMetadataValue) and len(repr(value.value)) > 14:
        yield f"{name}: {value.value}"
    elif isinstance(value, dg.TextMetadataValue) and PYTHON.search(value.text or ""):
        yield f"{name}: {value.text}"
    elif isinstance(value, dg.TableMetadataValue):
        cells = [cell for record in value.records for cell in record.data.values()]
        yield from (f"{name}: {cell!r}" for cell in cells if cell in ("", None) or PYTHON.search(str(cell)))
    elif isinstance(value, dg.MarkdownMetadataValue):
        text = PICTURE.sub("", value.md_str or "")
        if found := PYTHON.search(text):
            yield f"{name}: {found[0]}"
        blank = [line for line in text.splitlines() if line.startswith("|") and re.search(r"\|\s*\|", line)]
        if blank and not name.startswith(GROUPED):
            yield f"{name}: {blank[0]}"
    elif isinstance(value, dg.JsonMetadataValue) and not name.endswith(KEPT_WHOLE) and PYTHON.search(str(value.value)):
        yield f"{name}: {value.value}"


def unreadable(table: str, metadata: Mapping[str, Any]) -> list[str]:
    return [fault for label, value in metadata.items() for fault in faults(f"{table} {label}", value)]


@pytest.fixture(scope="module")
def instance(built):
    with dg.DagsterInstance.from_config(str(built.folder / "lake" / ".dagster")) as found:
        yield found


def test_every_entry_of_a_partition_can_be_read(instance):
    found, seen = [], 0
    for table in TABLES:
        for record in instance.fetch_materializations(dg.AssetKey(table), limit=3).records:
            found += unreadable(table, record.asset_materialization.metadata)
            seen += 1
    assert seen > len(TABLES)
    assert found == []


def test_every_entry_of_a_check_can_be_read(instance):
    found, seen = [], 0
    for checks in CHECKS:
        for key in checks.check_keys:
            for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=2):
                evaluation = record.event and record.event.dagster_event.asset_check_evaluation_data
                if evaluation:
                    found += unreadable(f"{key.asset_key.to_user_string()} {key.name}", evaluation.metadata)
                    seen += 1
    assert seen > 100
    assert found == []


@pytest.mark.parametrize(
    "value",
    [
        dg.MetadataValue.float(2.220446049250313e-16),
        dg.MetadataValue.text("{'csi300': '2023-04-28'}"),
        dg.MetadataValue.md("| a | b |\n| --- | --- |\n| 1 |  |"),
        dg.MetadataValue.table([dg.TableRecord({"a": ""})], dg.TableSchema([dg.TableColumn("a")])),
        dg.MetadataValue.json({"industry[Banks]": 6.825898553213493e-05}),
    ],
)
def test_a_fault_is_seen(value):
    assert list(faults("table label", value))
