"""Read a Qlib dataset, write a signal as Qlib's prediction: python examples/qlib_signal.py ~/.qlib/qlib_data/cn_data.

In an environment with pyqlib, its own analysis of the signal:

    with R.start(experiment_name="mg"):
        R.save_objects(**{"pred.pkl": pd.read_parquet("pred.parquet"), "label.pkl": label})
        SigAnaRecord(R.get_recorder()).generate()
"""

import sys

from mg_assets import build_source, read_source, save_qlib_prediction
from mg_portfolio import evaluate

if len(sys.argv) < 2:
    sys.exit("give a Qlib dataset's folder: python examples/qlib_signal.py ~/.qlib/qlib_data/cn_data")
source = build_source("qlib", {"root": sys.argv[1]})
first, last = source.days()[[0, -1]]
bars = read_source(source, "daily_bars", first, last, columns=["close", "adj_factor"])
close = bars.assign(close=bars["close"] * bars["adj_factor"]).pivot(index="date", columns="symbol", values="close")
signal = 1 - close / close.shift(5)

print(f"RankIC with the next day's return: {evaluate(signal, close, every=1).summary['rank_ic_mean']:.4f}")
print(save_qlib_prediction(signal, sys.argv[2] if len(sys.argv) > 2 else "pred.parquet"))
