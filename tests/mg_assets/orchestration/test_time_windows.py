"""Dagster's answers on partitions with a thousand excluded days, given faster and never otherwise."""

import subprocess
import sys

import dagster as dg
import pytest
from dagster import TimeWindowPartitionsDefinition
from dagster._core.definitions.partitions.snap import PartitionsSnap

from mg_assets.orchestration import time_windows
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY

DEFINITIONS = {"daily": DAILY, "weekly": WEEKLY, "monthly": MONTHLY, "half-yearly": HALF_YEARLY}
NO_KEYS = {
    "2022-01-01",
    "2022-01-31",
    "2022-10-08",
    "2022-1-4",
    "2022-01-04-00:00",
    "1999-01-04",
    "2099-01-05",
    "x",
    "",
}
OPEN_A_HOME = """
import mg_assets.orchestration.event_log
import dagster
print(dagster.TimeWindowPartitionsDefinition.__hash__.__module__)
"""


@pytest.fixture(params=DEFINITIONS)
def definition(request) -> TimeWindowPartitionsDefinition:
    """As the web server has it: restored from what the code server sends."""
    return PartitionsSnap.from_def(DEFINITIONS[request.param]).get_partitions_definition()


def test_a_process_that_opens_a_home_uses_them():
    said = subprocess.run([sys.executable, "-c", OPEN_A_HOME], capture_output=True, text=True, check=True).stdout
    assert said.strip() == time_windows.__name__


def test_a_process_that_has_the_graph_uses_them(definition):
    for made in (definition, DAILY, dg.DailyPartitionsDefinition("2022-01-01")):
        assert type(made).__hash__ is time_windows._hash_once
        assert type(made).filter_valid_partition_keys is time_windows._valid_keys


def test_valid_keys_are_those_found_one_at_a_time(definition):
    keys = definition.get_partition_keys()
    asked = {*keys[:30], *keys[-30:], *NO_KEYS}
    one_at_a_time = {key for key in asked if definition.has_partition_key(key)}
    assert definition.filter_valid_partition_keys(asked) == one_at_a_time
    assert one_at_a_time >= {*keys[:30], *keys[-30:]}
    assert definition.filter_valid_partition_keys(set()) == set()


def test_a_hash_is_that_of_the_text_made_once(definition, monkeypatch):
    texts = []
    monkeypatch.setattr(time_windows, "_hash_of_text", lambda made: texts.append(repr(made)) or hash(tuple(repr(made))))
    again = PartitionsSnap.from_def(definition).get_partitions_definition()
    assert again is not definition
    assert {hash(again) for _ in range(3)} == {hash(tuple(repr(definition)))} == {hash(definition)}
    assert texts == [repr(definition)] * len(texts)
    assert len(texts) <= 2


def test_other_excluded_days_are_another_definition():
    made = [dg.DailyPartitionsDefinition("2022-01-01", exclusions=e) for e in (None, ["0 0 * * 6"], ["0 0 * * 0"])]
    assert len({hash(m) for m in made}) == len(set(made)) == 3
    assert len({hash(dg.DailyPartitionsDefinition("2022-01-01")) for _ in range(2)}) == 1
