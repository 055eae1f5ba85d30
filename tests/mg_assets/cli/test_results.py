"""What ``mg run`` and ``mg table`` print at the end."""

import re

import pandas as pd

from mg_assets.cli.results import print_results
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.settings import Settings


def test_a_signal_without_scores_is_named_with_the_part(tmp_path, capsys):
    """A factor that the source cannot carry leaves a mean of it without scores, and so out of the table."""
    lake = Lake(str(tmp_path / "lake"))
    none = pd.DataFrame({"symbol": pd.Series(dtype="str"), "score": pd.Series(dtype=float)})
    for day in ("2023-02-01", "2023-02-02"):
        lake.write("reversal", day, none)
    lake.write("signal_evaluation", WHOLE, pd.DataFrame({"name": pd.Series(dtype="str")}))
    print_results(Settings(lake=str(tmp_path / "lake"), signals={"reversal": {"mean": ["turn_1m"]}}))
    said = capsys.readouterr().out
    assert "reversal is not evaluated: 0 of 2 days have scores; 2023-02-02: no turn_1m this day" in said


def test_a_signal_on_few_stocks_says_how_many(tmp_path, capsys):
    lake = Lake(str(tmp_path / "lake"))
    lake.write("mine", "2023-02-01", pd.DataFrame({"symbol": ["600000.SH"], "score": [1.0]}))
    lake.write("signal_evaluation", WHOLE, pd.DataFrame({"name": pd.Series(dtype="str")}))
    why = "1 stocks on its fullest day, 30 needed"
    left = {"scope": ["factor"], "name": ["mine"], "reason": [why], "count": [1]}
    lake.write("signal_evaluation_exclusions", WHOLE, pd.DataFrame(left))
    print_results(Settings(lake=str(tmp_path / "lake"), signals={"mine": {"mean": ["turn_1m"]}}))
    said = capsys.readouterr().out
    assert f"Signals: none is evaluated: {why}\n" in said
    assert f"mine is not evaluated: 1 of 1 days have scores; {why}\n" in said


def test_a_portfolio_stands_beside_its_placebos(tmp_path, capsys):
    lake = Lake(str(tmp_path / "lake"))
    rows = pd.DataFrame({"x": [1]})
    for name in ("csi500_ai", "csi1000_ai"):
        lake.write(f"{name}_backtest", WHOLE, rows, {"metrics": {"excess_annual": 0.1}})
    whole = {"over_placebos": 0.0487, "low": 0.0035, "high": 0.0934, "rank": 4, "placebos": 20}
    lake.write("csi500_ai_placebo", WHOLE, rows, {"compared": {"whole": whole}})
    print_results(Settings(lake=str(tmp_path / "lake"), portfolios={"csi500_ai": {}, "csi1000_ai": {}}))
    said = capsys.readouterr().out
    for line in (r"excess over its placebos +0\.0487", r"of that 0\.0035 to 0\.0934", r"rank among them +4 of 21"):
        assert re.search(line, said), said
