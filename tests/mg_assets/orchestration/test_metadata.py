"""Tables of the UI hold neither blanks nor numbers of sixteen digits."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.orchestration.metadata import markdown, markdown_table, note_text, rows_table


@pytest.mark.parametrize("missing", [None, np.nan, np.float32("nan"), pd.NaT, pd.NA, ""])
def test_a_missing_value_is_a_dash(missing):
    assert markdown([{"a": missing, "b": 1}]).splitlines()[-1] == "| - | 1 |"
    assert rows_table([{"a": 1}, {"b": missing}]).records[1].data == {"a": "-", "b": "-"}


def test_figures_are_short_and_zero_has_no_sign():
    frame = pd.DataFrame({"x": [-1e-9, 1 / 3, 2.0]})
    assert markdown_table(frame).md_str.splitlines()[2:] == ["| 0.0000 |", "| 0.3333 |", "| 2.0000 |"]
    assert markdown([{"x": np.float32(0.1), "text": "a|b"}]).splitlines()[-1] == "| 0.1 | a\\|b |"


def test_an_empty_table_says_so():
    assert markdown_table(pd.DataFrame()).md_str == "none"
    assert markdown_table(pd.DataFrame({"reason": []})).md_str == "none"


def test_a_note_is_words():
    assert note_text({"csi300": "2023-04-28", "csi500": "2023-04-28"}) == "csi300 2023-04-28, csi500 2023-04-28"
    assert note_text(["a", 2]) == "a, 2"
    assert note_text(20130104) == "20130104"
    assert note_text({}) == "none"
