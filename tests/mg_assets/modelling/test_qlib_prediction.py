"""Qlib in and out: its dataset read, our signal in its form, and pyqlib's own analysis of both.

pyqlib stands in an environment of its own (it pins older packages): QLIB_PYTHON names its interpreter.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from qlib_dataset import write_qlib_dataset

from mg_assets import build_source, qlib_prediction, read_source, save_qlib_prediction
from mg_assets.errors import DataError
from mg_portfolio import evaluate
from mg_portfolio.evaluation.evaluate import forward_returns, rank_ic_by_day

DAYS, STOCKS = 120, 60


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_qlib_dataset(tmp_path_factory.mktemp("qlib"), DAYS, STOCKS)


@pytest.fixture(scope="module")
def close(dataset) -> pd.DataFrame:
    """Adjusted closes by date and symbol, as read from the Qlib dataset."""
    bars = read_source(build_source("qlib", {"root": dataset}), "daily_bars", "2021-01-01", "2021-12-31")
    return bars.assign(close=bars["close"] * bars["adj_factor"]).pivot(index="date", columns="symbol", values="close")


@pytest.fixture(scope="module")
def signal(close) -> pd.DataFrame:
    ahead = close.shift(-2) / close.shift(-1) - 1
    rng = np.random.default_rng(12)
    noisy = ahead.fillna(0.0) + 0.05 * rng.standard_normal(close.shape)
    return noisy.where(rng.random(close.shape) > 0.05)


def test_a_qlib_dataset_is_read_between_two_dates(dataset):
    source = build_source("qlib", {"root": dataset})
    bars = read_source(source, "daily_bars", "2021-02-01", "2021-02-02", columns=["close", "adj_factor"])
    assert list(bars.columns) == ["date", "symbol", "close", "adj_factor"]
    assert len(bars) == 2 * STOCKS
    close = read_source(source, "daily_bars", "2021-02-01", "2021-02-02", columns="close")
    pd.testing.assert_frame_equal(close, bars[["date", "symbol", "close"]])
    assert bars["close"].to_numpy() == pytest.approx(np.round(bars["close"].to_numpy(), 2))
    assert read_source(source, "reference", "2021-02-01", "2021-02-02", into="polars").height == 2 * STOCKS
    with pytest.raises(
        DataError, match=r"source 'qlib' has no daily_bars from 2020-01-01 to 2020-02-01: its days are 2021"
    ):
        read_source(source, "daily_bars", "2020-01-01", "2020-02-01")
    with pytest.raises(DataError, match=r"'daily_bars' has no column 'vwop'; it has date, symbol"):
        read_source(source, "daily_bars", "2021-02-01", "2021-02-02", columns=["vwop"])


def test_a_signal_is_written_in_qlibs_form(signal, tmp_path):
    frame = qlib_prediction(signal.iloc[::-1, ::-1])
    assert frame.index.names == ["datetime", "instrument"]
    assert list(frame.columns) == ["score"]
    assert len(frame) == signal.notna().sum().sum()
    day = signal.index[5]
    symbol = signal.columns[signal.iloc[5].notna()][3]
    assert frame.loc[(day, f"SH{symbol[:6]}"), "score"] == signal.loc[day, symbol]
    pd.testing.assert_frame_equal(pd.read_parquet(save_qlib_prediction(signal, tmp_path / "pred.parquet")), frame)
    text = pd.read_csv(save_qlib_prediction(signal, tmp_path / "pred.csv"), index_col=[0, 1], parse_dates=[0])
    pd.testing.assert_frame_equal(text, frame, check_index_type=False)


def test_what_is_no_prediction_is_refused(signal, tmp_path):
    with pytest.raises(DataError, match=r"pred.pkl must end in .parquet or .csv"):
        save_qlib_prediction(signal, tmp_path / "pred.pkl")
    with pytest.raises(DataError, match=r"pred.csv cannot be written \(.*\): give a file in a folder that is there"):
        save_qlib_prediction(signal, tmp_path / "absent" / "pred.csv")
    with pytest.raises(DataError, match="scores had no dates and symbols"):
        qlib_prediction(signal.to_numpy())
    for nothing in (signal.iloc[:0], signal * np.nan):
        with pytest.raises(DataError, match=r"scores had no finite value on \d+ days of 60 symbols"):
            qlib_prediction(nothing)
    with pytest.raises(DataError, match=r"60 symbols that are not like 600000.SH, the first 600000"):
        qlib_prediction(signal.rename(columns=lambda s: s[:6]))


ANALYSIS = """
import json, sys
import pandas as pd
import qlib
from qlib.contrib.eva.alpha import calc_ic
from qlib.data import D
from qlib.workflow import R
from qlib.workflow.record_temp import SigAnaRecord

root, path, out = sys.argv[1:]
qlib.init(provider_uri=root, region="cn", kernels=1, exp_manager={
    "class": "MLflowExpManager", "module_path": "qlib.workflow.expm",
    "kwargs": {"uri": "sqlite:///" + out + "/runs.db", "default_exp_name": "mg"}})
pred = pd.read_parquet(path)
label = D.features(D.instruments("all"), ["Ref($close, -2) / Ref($close, -1) - 1"])
label.columns = ["label"]
label.to_parquet(out + "/label.parquet")
aligned = label.swaplevel().sort_index().reindex(pred.index)
ic, rank_ic = calc_ic(pred["score"], aligned["label"])
with R.start(experiment_name="mg"):
    R.save_objects(**{"pred.pkl": pred, "label.pkl": aligned})
    recorder = R.get_recorder()
    SigAnaRecord(recorder).generate()
metrics = recorder.list_metrics()  # written in the background until the run ends
print("RESULT " + json.dumps({
    "rank_ic": {str(k.date()): v for k, v in rank_ic.items()},
    "metrics": metrics}))
"""


def test_pyqlib_finds_the_same_rank_ic(dataset, close, signal, tmp_path):
    python = os.environ.get("QLIB_PYTHON")
    if not python:
        pytest.skip("QLIB_PYTHON names no interpreter with pyqlib: pip install pyqlib into an environment of its own")
    path = save_qlib_prediction(signal, tmp_path / "pred.parquet")
    command = [python, "-c", ANALYSIS, str(dataset), str(path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))[7:])
    label = pd.read_parquet(tmp_path / "label.parquet")["label"]
    rank_ic = pd.Series(theirs["rank_ic"]).dropna()
    # the same returns: Qlib's own frame, instrument and datetime in its order
    same = rank_ic_by_day(qlib_prediction(signal)["score"], label, label.notna(), 2)
    same = same.set_axis(same.index.strftime("%Y-%m-%d")).dropna()
    np.testing.assert_allclose(same, rank_ic[same.index], rtol=0, atol=1e-9)
    assert len(same) == DAYS - 2
    assert theirs["metrics"]["Rank IC"] == pytest.approx(same.mean(), abs=1e-9)
    # the dataset as read here: Qlib divides in float32, which may order two returns that are nearly the same
    found = evaluate(signal, close, every=1)
    ours = pd.Series(found.rank_ic, [str(day) for day in found.days]).dropna()
    assert list(ours.index) == list(rank_ic.index)
    ahead = np.sort(forward_returns(close, 1).where(signal.notna()).to_numpy(), axis=1)
    distinct = pd.Series(
        np.nanmin(np.diff(ahead, axis=1), axis=1, initial=1.0) > 2.5e-7, close.index.strftime("%Y-%m-%d")
    )
    apart = (ours - rank_ic).abs()
    assert distinct[ours.index].mean() > 0.5
    assert apart[distinct[ours.index]].max() < 1e-9
    assert apart.max() < 0.01
