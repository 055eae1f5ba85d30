"""mg new: what it writes passes the test that it prints, and fails it once it is broken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mg_assets.cli.main import main
from mg_assets.testing import check_factor, check_model, check_portfolio, check_source

BREAKS = {
    "factor": [
        ('["minute"] < 30', '["minute"] < 60', "no look-ahead is broken"),
        (
            '["first"] - 1',
            '["first"] - (ends.index == minute_bars["symbol"].iloc[0])',
            "permutation of stocks is broken",
        ),
        (
            'return ends["last"]',
            'SEEN.append(1)\n    return len(SEEN) * ends["last"]',
            "equal frames give equal values is",
        ),
    ],
    "model": [
        ("x.mean(dim=0)]", "x.mean(dim=0) - x.mean(dim=(0, 1))]", "days and stocks by themselves is broken"),
        ("dim=1))  #", "dim=1)) + 0.1 * torch.arange(x.shape[1])[:, None]  #", "permutation of stocks is broken"),
        (
            "x = windows[self.panel]",
            "SEEN.append(1)\n        x = windows[self.panel] * len(SEEN)",
            "equal windows give",
        ),
    ],
    "portfolio": [
        ("stock_limit: 0.01", "stock_limits: 0.01", r"stock_limits is unknown; did you mean .*stock_limit\?"),
        ("turnover: 0.1", "turnover: 1.0e-9", "restatement noticed is broken"),
    ],
    "source": [
        (
            'bars["volume"] * self.lot)',
            'bars["volume"] * self.lot, amount=bars.groupby("symbol")["close"].transform("last") * bars["volume"])',
            "no look-ahead is broken",
        ),
        (
            'bars["volume"] * self.lot)',
            'bars["volume"] * self.lot, num_trades=range(len(bars)))',
            "permutation of rows is",
        ),
        ('bars["volume"] * self.lot)', "SEEN.append(1) or bars['volume'] * (99 + len(SEEN)))", "is broken"),
    ],
}


def check_on_files(file):
    """The check of a source on three days of files, as the written test makes them."""
    folder = file.parent / "files"
    folder.mkdir()
    for day in ("2023-02-01", "2023-02-02", "2023-02-03"):
        close = 10 + int(day[-1])
        rows = f"{day},600000.SH,{close},{close},{close},{close},100\n{day},000001.SZ,20,20,20,20,100\n"
        (folder / f"{day}.csv").write_text(f"date,code,open,high,low,close,vol\n{rows}")
    return check_source(file, {"root": str(folder)})


CHECKS = {"factor": check_factor, "model": check_model, "portfolio": check_portfolio, "source": check_on_files}


def printed(out: str) -> str:
    """The command that the output ends with."""
    return out.strip().splitlines()[-1].strip()


@pytest.mark.parametrize("kind", ["factor", "portfolio", "source", pytest.param("model", marks=pytest.mark.slow)])
def test_written_file_passes_the_printed_test(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    assert main(["new", kind, f"my_{kind}"]) == 0
    command = printed(capsys.readouterr().out)
    assert command.endswith(f"test_my_{kind}.py")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MG_")} | {"OMP_NUM_THREADS": "1"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    found = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment | {"PATH": path}, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("ok: ")


@pytest.mark.parametrize(("kind", "number"), [(kind, n) for kind, given in BREAKS.items() for n in range(len(given))])
def test_broken_file_fails_the_test_that_was_written(tmp_path, monkeypatch, kind, number):
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"my_broken_{kind}_{number}"  # a module of its own
    assert main(["new", kind, name, "--to", str(tmp_path)]) == 0
    (file,) = [p for p in tmp_path.iterdir() if p.stem == name]
    old, new, message = BREAKS[kind][number]
    text = file.read_text()
    assert old in text
    head = "SEEN = []\n" if "SEEN" in new else ""
    marker = '"""\n' if file.suffix == ".py" else ""
    text = text.replace(old, new).replace(marker, marker + head, 1) if head else text.replace(old, new)
    file.write_text(text)
    with pytest.raises(AssertionError, match=message) as error:
        CHECKS[kind](file)
    assert "\n" not in str(error.value)


def test_the_written_test_names_what_is_broken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "portfolio", "mine"]) == 0
    command = printed(capsys.readouterr().out)
    file = tmp_path / "mine.yaml"
    file.write_text(file.read_text().replace("stock_limit: 0.01", "stock_limit: 2"))
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith("FAILED: ")
    assert "portfolios.mine.stock_limit was 2" in found.stderr
    assert found.stderr.count("\n") == 1


def test_nothing_is_overwritten_and_names_are_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "factor", "mine"]) == 0
    before = (tmp_path / "mine.py").read_text()
    capsys.readouterr()
    for arguments, message in (
        (["factor", "mine"], "mg: mine.py and test_mine.py exists; give another name, or another folder with --to"),
        (["model", "json"], "mg: json is a module of Python or of a library, which json.py would hide"),
        (["source", "My-Vendor"], "mg: the name 'My-Vendor' must be lower-case letters, digits and _"),
        (["factor", "class"], "mg: the name 'class' must be"),
        (["factor", "hf_gru"], "mg: hf_gru is a name of the built-in catalogs; give another name"),
        (["factor", "turn_1m"], "mg: turn_1m is a name of the built-in catalogs"),
        (["portfolio", "csi500_turnover30"], "mg: csi500_turnover30 is a name of the built-in catalogs"),
        (["source", "qlib"], "mg: qlib is a name of the built-in catalogs"),
    ):
        assert main(["new", *arguments]) == 2
        assert capsys.readouterr().err.startswith(message)
    assert (tmp_path / "mine.py").read_text() == before


def test_a_folder_that_is_absent_is_made(tmp_path, capsys):
    folder = tmp_path / "mine" / "factors"
    assert main(["new", "factor", "late_volume", "--to", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {"late_volume.py", "test_late_volume.py"}
    (tmp_path / "file").touch()
    assert main(["new", "factor", "late_volume", "--to", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"mg: {tmp_path / 'file'} is a file; give a folder with --to\n"
