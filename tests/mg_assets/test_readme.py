"""The README's Python example runs on a lake that ``mg run`` built."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_both_languages_show_one_example():
    assert len(EXAMPLES) == 2
    english, chinese = (re.sub(r" *#.*", "", code) for code in EXAMPLES)
    assert english == chinese


def test_the_example_runs(lake, tmp_path, monkeypatch):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "demo").symlink_to(lake.root)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(EXAMPLES[0], names)
    assert names["scores"].shape == (len(names["days"]), names["problem"].size)
    assert (tmp_path / "my_gru.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert names["solution"].status == "optimal"
    assert list(names["solution"].by_symbol.index) == sorted(names["scores"].columns)
    assert names["solution"].weights.sum() == pytest.approx(1)
    assert names["explanation"]["bigorder_ret"].agrees
    assert -1 < names["evaluation"].summary["rank_ic_mean"] < 1
