"""RankIC of the low-frequency models on a real daily panel, beside simple signals and Qlib's Alpha158 models.

    python benchmarks/real_panel.py ../shared/data [--out /tmp/mg-real-panel] [--half-years 2017H1 ...] [--signals ...]

``DATA`` is the folder that ``make real`` takes. Trains each model for each half-year on the data before it,
scores every fifth trading day from its first, and prints markdown tables: RankIC with the return of the next five days
(from the vwap of T+1) over all stocks and over the members of CSI 300 and CSI 800 on that day. Scores stored
below ``--out`` are reused: an interrupted run resumes. One thread; LightGBM is needed for its own row only
(``pip install lightgbm``).

Bars, tradability and labels are made by the functions that ``make real`` uses.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from peers.alpha158 import LightGbm, Linear, alpha158

from mg_assets.factors.labels import eligible_entry, labels
from mg_assets.sources.mapped.source import MappedSource
from mg_models.catalog import CATALOG, COMBINATIONS, get
from mg_models.combine import fuse
from mg_models.data.bar_panels import bar_inputs, completed_bars, month_of, week_of
from mg_models.data.day_statistics import rank_ic, ranks, zscore_stocks
from mg_models.data.price_volume import price_volume_panel
from mg_models.data.splits import period_end, period_start
from mg_models.inference import predict
from mg_models.training.retrain import train

HALF_YEARS = ("2017H1", "2019H1", "2020H2", "2022H1", "2023H2")
SIMPLE = ("reversal_5", "reversal_20", "low_volatility", "price_volume_correlation")
PEERS = ("linear_alpha158", "lightgbm_alpha158")
SIGNALS = (
    *SIMPLE, "simple_mean", *PEERS, "lf_multitask", "lf_multitask_normal_rank", "price_volume_linear",
    "price_volume_mlp", "price_volume_neutral_mlp", "price_volume_ensemble",
)  # fmt: skip
UNIVERSES = ("all", "csi300", "csi800")
PRICES = ("open", "high", "low", "close", "vwap")
COLUMNS = (*PRICES, "volume", "adj_factor", "up_limit", "down_limit")
EVERY = 5
HORIZON = 10  # of the labels that are learned
YEARS = 3  # of days behind the linear peer


@dataclass(frozen=True)
class Market:
    """Daily bars of all stocks.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    symbols : ndarray (S,)
    columns : dict of str to ndarray (D, S)
        COLUMNS, raw, and ``suspended``, ``st``, ``csi300``, ``csi500``.
    """

    days: np.ndarray
    symbols: np.ndarray
    columns: dict[str, np.ndarray]

    @cached_property
    def bars(self) -> np.ndarray:
        """Adjusted open, high, low, close, vwap, volume ``(D, S, 6)``, as the lake gives them to models."""
        factor = self.columns["adj_factor"]
        prices = [self.columns[c] * factor for c in PRICES]
        return np.stack([*prices, self.columns["volume"] / factor], axis=-1)

    @cached_property
    def returns(self) -> dict[int, np.ndarray]:
        """Returns of 5 and 10 days from the vwap of T+1 ``(D, S)``, as in the lake's labels."""
        c = self.columns
        flags = ("suspended", "st", "open", "high", "low", "close", "up_limit", "down_limit")
        entry = eligible_entry(*(c[n] for n in flags)) & np.isfinite(c["close"])
        made = labels(c["vwap"] * c["adj_factor"], entry, (5, HORIZON))
        return {5: made[..., 0], HORIZON: made[..., 1]}

    @cached_property
    def universes(self) -> dict[str, np.ndarray]:
        """Members on each day, ``(D, S)``."""
        c = self.columns
        return {"all": np.isfinite(c["close"]), "csi300": c["csi300"], "csi800": c["csi300"] | c["csi500"]}

    @cached_property
    def traded(self) -> np.ndarray:
        """Whether a stock traded on the day, ``(D, S)`` bool."""
        return np.isfinite(self.bars).all(-1) & (self.bars[..., 5] > 0)

    @cached_property
    def inputs(self) -> dict:
        """The panels of every entry that daily bars are enough for."""
        bars = self.bars.astype(np.float32)
        weeks, months = completed_bars(bars, week_of(self.days)), completed_bars(bars, month_of(self.days))
        out = bar_inputs(self.days, self.symbols, bars, *weeks, *months)
        return {**out, "price_volume": price_volume_panel(self.days, self.symbols, self.bars)}

    def tested(self, half_year: str) -> np.ndarray:
        """Every fifth trading day of a half-year from its first, by index; days without a return yet are left out."""
        first = int(np.searchsorted(self.days, period_start(half_year)))
        stop = int(np.searchsorted(self.days, period_end(half_year), side="right"))
        return np.arange(first, min(stop, len(self.days) - 6), EVERY)


def read_market(data: Path, kept: Path) -> Market:
    """Bars and membership of every day, from the folder of real data or from an earlier run's copy."""
    file = kept / "market.npz"
    if not file.exists():
        source = MappedSource("csi800_ever", data)
        days = source.days()
        bars = [source.load("daily_bars", d).frame for d in days]
        reference = [source.load("reference", d).frame for d in days]
        symbols = np.unique(np.concatenate([b["symbol"].to_numpy(str) for b in bars]))
        columns = {c: np.full((len(days), len(symbols)), np.nan) for c in COLUMNS}
        columns |= {c: np.zeros((len(days), len(symbols)), bool) for c in ("suspended", "st", "csi300", "csi500")}
        for d, (bar, info) in enumerate(zip(bars, reference, strict=True)):
            at = np.searchsorted(symbols, bar["symbol"].to_numpy(str))
            for c in (*COLUMNS, "suspended", "st"):
                columns[c][d, at] = bar[c]
            at = np.searchsorted(symbols, info["symbol"].to_numpy(str))
            for c in ("csi300", "csi500"):
                columns[c][d, at] = info[f"{c}_member"]
        kept.mkdir(parents=True, exist_ok=True)
        np.savez(kept / "writing.npz", days=days.astype("datetime64[D]"), symbols=symbols, **columns)
        (kept / "writing.npz").rename(file)
    stored = np.load(file)
    columns = {c: stored[c] for c in stored.files if c not in ("days", "symbols")}
    return Market(stored["days"], stored["symbols"].astype(object), columns)


def simple(market: Market, name: str, half_year: str) -> np.ndarray:
    """A signal without training, on the tested days ``(n, S)``."""
    close = market.bars[..., 3]
    out = []
    for d in market.tested(half_year):
        month = close[d - 20 : d + 1]
        if name.startswith("reversal"):
            score = 1 - close[d] / close[d - int(name.rpartition("_")[2])]
        elif name == "low_volatility":
            score = -np.nanstd(month[1:] / month[:-1] - 1, axis=0)
        else:
            volume = np.where(market.traded[d - 19 : d + 1], market.bars[d - 19 : d + 1, :, 5], np.nan)
            a, b = zscore_stocks(month[1:].T), zscore_stocks(np.log(volume).T)
            score = -np.where(np.isfinite(a * b), a * b, 0).mean(1)
        out.append(np.where(market.traded[d], score, np.nan))
    return np.array(out)


def peer(market: Market, name: str, half_year: str) -> np.ndarray:
    """Linear or LightGBM on Alpha158, trained as Qlib's examples do on the 10-day return of every fifth day."""
    cut = int(np.searchsorted(market.days, period_start(half_year)))
    labelled = np.arange(61, cut - HORIZON - 1, EVERY)

    def learned(days: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for d, section in zip(days, alpha158(market.bars, days), strict=True):
            rows = market.traded[d] & np.isfinite(market.returns[HORIZON][d])
            if rows.sum() >= 30:
                label = market.returns[HORIZON][d, rows]
                yield section[rows], zscore_stocks(ranks(label) if name == "linear_alpha158" else label)

    if name == "linear_alpha158":
        model = Linear().fit(list(learned(labelled[labelled >= cut - YEARS * 244])))
    else:
        held = len(labelled) // 5
        train_days = labelled[:-held][labelled[:-held] < labelled[-held] - HORIZON - 1]
        model = LightGbm().fit(list(learned(train_days)), list(learned(labelled[-held:])))
    days = market.tested(half_year)
    out = np.full((len(days), len(market.symbols)), np.nan)
    for row, d, section in zip(out, days, alpha158(market.bars, days), strict=True):
        row[market.traded[d]] = model.predict(section[market.traded[d]])
    return out


def trained(market: Market, name: str, half_year: str, kept: Path) -> np.ndarray:
    """A catalog entry, all its seeds."""
    spec = get(name)
    seeds = train(
        spec, market.inputs, market.returns[HORIZON], None, half_year, out_dir=kept / "models" / name, on_progress=None
    )
    for model in seeds:
        course = model.card["training"]
        print(f"  {name} {half_year} seed {model.seed}: {course['steps']} steps, best {course['best_step']}, "
              f"validation RankIC {course['best_valid_rank_ic']:.3f}", flush=True)  # fmt: skip
    return predict(seeds, market.inputs, market.days[market.tested(half_year)])


def scores(market: Market, name: str, half_year: str, kept: Path) -> np.ndarray:
    """A signal's scores on the tested days ``(n, S)``, stored or made now."""
    if name == "simple_mean":
        return fuse([(scores(market, s, half_year, kept), 1.0) for s in SIMPLE])
    if name in COMBINATIONS:
        c = COMBINATIONS[name]
        return fuse([(scores(market, p, half_year, kept), w) for p, w in zip(c.parts, c.weights, strict=True)])
    file = kept / "scores" / f"{name}-{half_year}-{get(name).hash if name in CATALOG else ''}.npy"
    if not file.exists():
        began = time.process_time()
        make: Callable[[], np.ndarray] = (
            (lambda: trained(market, name, half_year, kept)) if name in CATALOG
            else (lambda: peer(market, name, half_year)) if name in PEERS
            else (lambda: simple(market, name, half_year))
        )  # fmt: skip
        made = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file.with_suffix(".tmp"), "wb") as out:
            np.save(out, made.astype(np.float32))
        file.with_suffix(".tmp").rename(file)
        print(f"{name} {half_year}: {time.process_time() - began:.0f} s of CPU", flush=True)
    return np.load(file).astype(np.float64)


def rank_ics(market: Market, half_year: str, score: np.ndarray, universe: str) -> np.ndarray:
    """RankIC with the 5-day return on each tested day."""
    days, member = market.tested(half_year), market.universes[universe]
    return np.array(
        [rank_ic(np.where(member[d], s, np.nan), market.returns[5][d]) for d, s in zip(days, score, strict=True)]
    )


def table(market: Market, names: list[str], half_years: list[str], universe: str, kept: Path) -> str:
    """Mean RankIC of each signal and half-year, the mean over half-years, and over its standard error by day."""
    lines = [f"| {universe} | {' | '.join(half_years)} | mean | t |", "|---|" + "---|" * (len(half_years) + 2)]
    for name in names:
        each = [rank_ics(market, h, scores(market, name, h, kept), universe) for h in half_years]
        means = [float(np.nanmean(e)) for e in each]
        every = np.concatenate(each)
        t = np.nanmean(every) / np.nanstd(every) * np.sqrt(np.isfinite(every).sum())
        cells = " | ".join(f"{m:.3f}" for m in (*means, float(np.mean(means))))
        lines.append(f"| `{name}` | {cells} | {t:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder that holds daily_csi800_ever_2013_2023")
    parser.add_argument("--out", type=Path, default=Path("/tmp/mg-real-panel"), help="what is stored between runs")
    parser.add_argument("--half-years", nargs="+", default=list(HALF_YEARS))
    parser.add_argument("--signals", nargs="+", default=list(SIGNALS))
    chosen = parser.parse_args()
    market = read_market(chosen.data, chosen.out)
    for half_year in chosen.half_years:
        for name in chosen.signals:
            scores(market, name, half_year, chosen.out)
    for universe in UNIVERSES:
        print("\n" + table(market, chosen.signals, chosen.half_years, universe, chosen.out))


if __name__ == "__main__":
    main()
