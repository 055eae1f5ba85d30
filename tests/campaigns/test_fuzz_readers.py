"""A small fuzz campaign of each reader: no traceback, no lost line, no hang."""

import pytest
from mutated_files import OUTCOMES, campaign, clean_reading, data_lines, kinds

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
    if name.startswith("level-2"):
        contents = {path.split("/")[-1].split(".")[0]: data for path, data in KINDS[name].files.items()}
        assert reading.accounted == {stem: data_lines(contents[stem]) for stem in reading.accounted}
        assert len(reading.accounted) >= 3
