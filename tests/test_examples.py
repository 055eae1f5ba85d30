"""The examples and the notebooks run as they are."""

import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from qlib_dataset import write_qlib_dataset

from mg_assets import Lake

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = {path.stem for path in EXAMPLES.glob("*.py")} - {"sample_market"}
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run an example in an empty folder and return what it prints; the market is read once for all of them."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)

    def run_example(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def test_every_example_is_run_here():
    tried = {"read_table", "evaluate_factor", "optimise_and_backtest", "train_and_predict", "qlib_signal"}
    assert tried == SCRIPTS
    assert [path.stem for path in NOTEBOOKS] == ["evaluate_a_factor", "train_and_backtest"]


def test_read_table(run, tmp_path):
    lake = Lake(tmp_path / "lake")
    columns = ["open", "high", "low", "close", "vwap", "volume", "amount", "num_trades", "prev_close", "adj_factor",
               "up_limit", "down_limit", "float_shares"]  # fmt: skip
    for day in ("2023-01-03", "2023-06-30", "2023-07-03"):
        frame = pd.DataFrame(1.0, range(2), columns).assign(
            symbol=["000001.SZ", "600000.SH"], suspended=False, st=False
        )
        lake.write("daily_bars", day, frame)
    assert "4 rows from 2023-01-03 to 2023-06-30" in run("read_table", str(tmp_path / "lake"))


def test_evaluate_factor(run, tmp_path):
    assert "rank_ic_mean" in run("evaluate_factor", "page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_optimise_and_backtest(run):
    out = run("optimise_and_backtest")
    assert "information_ratio" in out
    assert "2022-12-23 2022-12-26" in out


def test_qlib_signal(run, tmp_path):
    with pytest.raises(SystemExit, match=r"give a Qlib dataset's folder: python examples/qlib_signal\.py"):
        run("qlib_signal")
    (tmp_path / "qlib").mkdir()
    write_qlib_dataset(tmp_path / "qlib", 40, 40)
    assert "RankIC with the next day's return: " in run("qlib_signal", str(tmp_path / "qlib"))
    assert pd.read_parquet(tmp_path / "pred.parquet").index.names == ["datetime", "instrument"]


@pytest.mark.slow
def test_a_script_without_a_guard_trains_once(tmp_path):
    script = EXAMPLES / "train_and_predict.py"
    assert "__name__" not in script.read_text()
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=180, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2022-12-29") == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")  # stored without results
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    last = notebook.cells[-1].outputs[-1]
    assert "text/html" in last.data or "image/png" in last.data
