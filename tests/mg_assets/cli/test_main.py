"""The command line: one shape for every command, light imports, and one line for what a user can fix."""

import os
import subprocess
import sys

import pytest

from mg_assets.cli import main as module
from mg_assets.cli.graph import DOCS
from mg_assets.cli.main import COMMANDS, main
from mg_assets.settings import CHECKOUT, settings


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.__name__.rpartition(".")[2])
def test_every_command_adds_itself_and_runs(command):
    assert callable(command.add_command)
    assert callable(command.run)
    assert command.__doc__.startswith("``mg ")


def test_help_loads_neither_dagster_nor_pandas():
    code = (
        "import sys; from mg_assets.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print({'dagster', 'pandas', 'torch', 'numba'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "mg COMMAND --help" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["real", "/nowhere"], "mg: /nowhere is not a folder"),
        (["ingest", "/nowhere"], "mg: /nowhere is not a folder"),
        (
            ["cost", "no_such_model", "2017H1"],
            "mg: there is no trained model 'no_such_model'; docs/models.md lists",
        ),
        (["replay", "2023-02-05"], "mg: 2023-02-05 is no trading day"),
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cost", "hf_gru", "2017"], "'2017' is no half-year; give one as 2017H1"),
        (["what-if", "csi500_turnover30", "size=0", "--week", "2023"], "'2023' is no date; give one as 2023-02-01"),
    ],
)
def test_a_wrong_argument_is_an_error_of_the_parser(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_an_error_of_the_code_keeps_its_traceback(monkeypatch):
    def broken(chosen):
        raise RuntimeError("a bug")

    monkeypatch.setattr(module.home, "run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["home"])


def test_a_path_that_cannot_be_made_is_one_line(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MG_LAKE", str(tmp_path / "file" / "lake"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings.cache_clear()
    assert main(["home"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mg: {tmp_path / 'file'}")
    assert error.count("\n") == 1
    settings.cache_clear()


def test_results_of_an_absent_lake_are_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("MG_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    assert main(["table"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"mg: the lake {tmp_path / 'lake'} is empty or absent; fill it with mg run")
    assert shown.out == ""
    settings.cache_clear()


def test_ctrl_c_is_one_line_and_exit_code_130(monkeypatch, capsys):
    def stopped(lake, wanted):
        raise KeyboardInterrupt

    monkeypatch.setattr("mg_assets.cli.results.require_tables", stopped)
    assert main(["table"]) == 130
    assert capsys.readouterr().err.strip() == "mg: stopped; run again to go on"


@pytest.mark.parametrize("rows", ["-3", "0", "ten"])
def test_a_number_of_rows_below_one_is_refused(rows, capsys):
    with pytest.raises(SystemExit):
        main(["explain", "600519.SH", "2023-02-01", "--rows", rows])
    assert f"{rows!r} is no number of rows" in capsys.readouterr().err


def test_the_documents_have_the_picture_of_make_runs_graph(tmp_path):
    drawn, env = tmp_path / "graph.svg", {k: v for k, v in os.environ.items() if not k.startswith("MG_")}
    asked = [sys.executable, "-m", "mg_assets.cli.main", "graph", str(drawn)]
    subprocess.run(asked, cwd=CHECKOUT, env=env | {"PYTHONPATH": str(CHECKOUT)}, check=True, capture_output=True)
    assert drawn.read_bytes() == DOCS.read_bytes(), "run make docs"
