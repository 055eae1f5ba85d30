"""alphalens-reloaded over one or more factors, in a process (and, if need be, an environment) of its own.

    python benchmarks/peers/alphalens_run.py FOLDER

reads ``days.npy``, ``price.npy`` and ``factor0.npy`` .. of the folder, computes per factor what the full tear sheet
computes (nothing is drawn), and writes ``rank_ic.npy`` (factor, day) and ``spent.json`` (CPU seconds by factor and by
part). Imports nothing of this project.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from alphalens import performance as perf  # noqa: E402
from alphalens import utils  # noqa: E402

EVERY = 5
QUANTILES = 5


def tear_sheet(factor: pd.Series, prices: pd.DataFrame, spent: dict[str, float]) -> pd.Series:
    """RankIC by day; the other numbers are made and let go."""

    def part(name, run):
        start = time.process_time()
        found = run()
        spent[name] = spent.get(name, 0.0) + time.process_time() - start
        return found

    data = part(
        "clean factor and forward returns",
        lambda: utils.get_clean_factor_and_forward_returns(
            factor, prices, quantiles=QUANTILES, periods=(EVERY,), max_loss=1.0
        ),
    )
    ic = part("RankIC", lambda: perf.factor_information_coefficient(data))
    part("mean RankIC by month", lambda: perf.mean_information_coefficient(data, by_time="ME"))
    part("layers", lambda: perf.mean_return_by_quantile(data))
    daily = part("layers by day", lambda: perf.mean_return_by_quantile(data, by_date=True, demeaned=True))
    part("spread", lambda: perf.compute_mean_returns_spread(daily[0], QUANTILES, 1, std_err=daily[1]))
    part("factor returns", lambda: perf.factor_returns(data))
    part("alpha and beta", lambda: perf.factor_alpha_beta(data))
    quantile = data["factor_quantile"]
    part("turnover", lambda: [perf.quantile_turnover(quantile, q, EVERY) for q in range(1, QUANTILES + 1)])
    part("autocorrelation", lambda: perf.factor_rank_autocorrelation(data, EVERY))
    return ic.iloc[:, 0]


def main(folder: Path) -> None:
    days = pd.DatetimeIndex(np.load(folder / "days.npy"))
    prices = pd.DataFrame(np.load(folder / "price.npy"), index=days)
    files = sorted(folder.glob("factor*.npy"))
    rank_ic = np.full((len(files), len(days)), np.nan)
    totals, parts = [], {}
    for i, file in enumerate(files):
        values = np.load(file)
        at = np.nonzero(np.isfinite(values))
        index = pd.MultiIndex.from_arrays([days[at[0]], at[1]], names=["date", "asset"])
        series = pd.Series(values[at], index=index)
        start = time.process_time()
        found = tear_sheet(series, prices, parts)
        totals.append(time.process_time() - start)
        rank_ic[i, days.get_indexer(found.index)] = found
    np.save(folder / "rank_ic.npy", rank_ic)
    versions = {"version": version("alphalens-reloaded"), "pandas": pd.__version__}
    (folder / "spent.json").write_text(json.dumps({**versions, "factors": totals, "parts": parts}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
