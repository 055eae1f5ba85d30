"""A small fuzz campaign of each reader: no traceback, no lost line, no hang."""

import pytest
from mutated_files import OUTCOMES, campaign, clean_reading, kinds

KINDS = kinds()


@pytest.mark.parametrize("name", KINDS)
def test_mutated_files_are_read_set_aside_or_refused(name):
    found, faults = campaign(KINDS[name], count=40, seed=0)
    assert faults == []
    assert sum(found.values()) == 40
    assert set(found) <= set(OUTCOMES)
    assert found["refused"]
    assert found["set aside"]


@pytest.mark.parametrize("name", KINDS)
def test_sound_files_are_accounted_for_line_by_line(name):
    reading = clean_reading(KINDS[name])
    assert len(reading.quarantine) == 0
    expected = KINDS[name].expected(KINDS[name].files)
    assert reading.accounted == {group: expected[group] for group in reading.accounted}
    assert len(reading.accounted) >= (3 if name in ("level-2", "level-2, Huatai") else 1)
