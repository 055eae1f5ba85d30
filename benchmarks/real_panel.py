"""RankIC of the low-frequency models on a real daily panel, beside simple signals and Qlib's Alpha158 models.

    python benchmarks/real_panel.py ../shared/data [--panel alla] [--out /tmp/mg-real-panel]
        [--half-years 2017H1 ... | development] [--signals ...] [--seeds 1] [--against linear_alpha158]

``DATA`` is the folder that ``make real`` takes; ``--panel`` one of the two panels in it: the stocks that were ever in
CSI 800, from 2013 on, or every A-share of Shanghai and Shenzhen, from 2010 on. Trains each model for each half-year on
the data before it, scores every fifth trading day from its first, and prints markdown tables: RankIC with the return
of the next five days (from the vwap of T+1) over all stocks and over the members of CSI 300, CSI 800 and CSI 1000 on
that day; with ``--against``, also the mean over days of each signal's RankIC less that signal's. Features and
scores stored below ``--out`` are reused: an interrupted run resumes. One thread; LightGBM is needed for its own row
only (``pip install lightgbm``).

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
from mg_models.data.label_transforms import STYLES, neutral, transform
from mg_models.data.panel import Panel
from mg_models.data.price_volume import FEATURES, LOOK_BACK, price_volume_panel
from mg_models.data.splits import period_end, period_start
from mg_models.inference import predict
from mg_models.training.retrain import train

PANELS = {"csi800_ever": "daily_csi800_ever_2013_2023", "alla": "daily_alla_2010_2023"}
DEVELOPMENT = (
    "2016H2", "2017H2", "2018H1", "2018H2", "2019H2", "2020H1", "2021H1", "2021H2", "2022H2", "2023H1",
)  # fmt: skip
HALF_YEARS = ("2017H1", "2019H1", "2020H2", "2022H1", "2023H2")
SIMPLE = ("reversal_5", "reversal_20", "low_volatility", "price_volume_correlation")
PEERS = ("linear_alpha158", "lightgbm_alpha158")
SIGNALS = (
    *SIMPLE, "simple_mean", *PEERS, "lf_multitask", "lf_multitask_normal_rank", "price_volume_linear",
    "price_volume_mlp", "price_volume_neutral_mlp", "price_volume_ensemble",
)  # fmt: skip
INDICES = ("csi300", "csi500", "csi1000")
UNIVERSES = ("all", "csi300", "csi800", "csi1000")
PRICES = ("open", "high", "low", "close", "vwap")
COLUMNS = (*PRICES, "volume", "adj_factor", "up_limit", "down_limit")
EVERY = 5
HORIZON = 10  # of the labels that are learned
HORIZONS = (5, HORIZON, 20)
ALPHA158_DAYS = 61  # behind a day, that its Alpha158 features read
YEARS = 3  # of days behind the linear peer
VALID_DAYS = 120  # that validate the entries on price_volume
PENALTY = 0.03
RIDGES = {  # name: horizon of the label, whether it is free of styles
    "ridge": (HORIZON, False), "ridge_neutral": (HORIZON, True),
    "ridge_5": (5, False), "ridge_neutral_5": (5, True), "ridge_20": (20, False), "ridge_neutral_20": (20, True),
}  # fmt: skip
MEANS = {
    "simple_mean": SIMPLE,
    "ridges": ("ridge", "ridge_neutral"),
    "ridges_5": ("ridge_5", "ridge_neutral_5"),
    "ridges_20": ("ridge_20", "ridge_neutral_20"),
    "ridges_horizons": tuple(RIDGES),
    "ridge_mlp": ("ridge", "price_volume_mlp"),
    "mlp_multitask": ("price_volume_mlp", "lf_multitask"),
    "ridges_mlps": ("ridge", "ridge_neutral", "price_volume_mlp", "price_volume_neutral_mlp"),
    "ridges_alpha158": ("ridge", "ridge_neutral", "linear_alpha158"),
}


@dataclass(frozen=True)
class Market:
    """Daily bars of all stocks.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    symbols : ndarray (S,)
    columns : dict of str to ndarray (D, S)
        COLUMNS, raw, and ``suspended``, ``st``, ``csi300``, ``csi500``, ``csi1000``.
    kept : Path
        Folder of what is stored between runs.
    """

    days: np.ndarray
    symbols: np.ndarray
    columns: dict[str, np.ndarray]
    kept: Path

    @cached_property
    def bars(self) -> np.ndarray:
        """Adjusted open, high, low, close, vwap, volume ``(D, S, 6)``, as the lake gives them to models."""
        factor = self.columns["adj_factor"]
        prices = [self.columns[c] * factor for c in PRICES]
        return np.stack([*prices, self.columns["volume"] / factor], axis=-1)

    @cached_property
    def returns(self) -> dict[int, np.ndarray]:
        """Returns of 5, 10 and 20 days from the vwap of T+1 ``(D, S)``, as in the lake's labels."""
        c = self.columns
        flags = ("suspended", "st", "open", "high", "low", "close", "up_limit", "down_limit")
        entry = eligible_entry(*(c[n] for n in flags)) & np.isfinite(c["close"])
        made = labels(c["vwap"] * c["adj_factor"], entry, HORIZONS)
        return {h: made[..., k] for k, h in enumerate(HORIZONS)}

    @cached_property
    def universes(self) -> dict[str, np.ndarray]:
        """Members on each day, ``(D, S)``."""
        c = self.columns
        return {"all": np.isfinite(c["close"]), "csi300": c["csi300"], "csi800": c["csi300"] | c["csi500"],
                "csi1000": c["csi1000"]}  # fmt: skip

    @cached_property
    def traded(self) -> np.ndarray:
        """Whether a stock traded on the day, ``(D, S)`` bool."""
        return np.isfinite(self.bars).all(-1) & (self.bars[..., 5] > 0)

    @cached_property
    def inputs(self) -> dict:
        """The panels of every entry that daily bars are enough for, but ``price_volume``."""
        bars = self.bars.astype(np.float32)
        weeks, months = completed_bars(bars, week_of(self.days)), completed_bars(bars, month_of(self.days))
        return bar_inputs(self.days, self.symbols, bars, *weeks, *months)

    @cached_property
    def read_days(self) -> np.ndarray:
        """The days whose features a training or a prediction reads, by index."""
        chosen = np.arange(len(self.days)) % EVERY == 0
        for half_year in (*DEVELOPMENT, *HALF_YEARS):
            cut = int(np.searchsorted(self.days, period_start(half_year)))
            chosen[np.arange(cut - VALID_DAYS, self.tested(half_year)[-1] + 1, EVERY)] = True
        return np.flatnonzero(chosen)

    @cached_property
    def price_volume(self) -> Panel:
        """The features of :attr:`read_days`, mapped from a file: of 14 years of all stocks they are 6.5 GB."""
        file, shape = self.kept / "price_volume.npy", (len(self.days), len(self.symbols), len(FEATURES))
        if not file.exists():
            writing = file.with_suffix(".writing")
            out = np.lib.format.open_memmap(writing, "w+", np.float32, shape)
            # in blocks of days: a day's features need LOOK_BACK days before it
            for block in np.array_split(np.arange(len(self.days)), max(len(self.days) // 250, 1)):
                first = max(block[0] - LOOK_BACK, 0)
                rows = np.intersect1d(block, self.read_days) - first
                part = slice(first, block[-1] + 1)
                made = price_volume_panel(self.days[part], self.symbols, self.bars[part], rows)
                out[block] = made.values[block - first]
                print(f"  features to {self.days[block[-1]]}", flush=True)
            out.flush()
            writing.rename(file)
        return Panel(self.days, self.symbols, np.asarray(np.load(file, mmap_mode="r")), FEATURES)

    @cached_property
    def ridge_labels(self) -> dict[str, np.ndarray]:
        """Labels of each of :data:`RIDGES` on :attr:`read_days`, 0 without one, ``(D, S)``."""
        out = {name: np.zeros((len(self.days), len(self.symbols)), np.float32) for name in RIDGES}
        styles = [FEATURES.index(s) for s in STYLES]
        for d in self.read_days:
            day = self.price_volume.values[d]
            for name, (horizon, free) in RIDGES.items():
                rows = np.isfinite(day[:, 0]) & np.isfinite(self.returns[horizon][d])
                if rows.sum() >= 30:
                    label = transform("normal_rank", self.returns[horizon][d, rows, None])
                    if free:
                        style = zscore_stocks(day[rows][:, styles].T.astype(np.float64)).clip(-3, 3).T
                        label = neutral(label, style)
                    out[name][d, rows] = label[:, 0]
        return out

    def tested(self, half_year: str) -> np.ndarray:
        """Every fifth trading day of a half-year from its first, by index; days without a return yet are left out."""
        first = int(np.searchsorted(self.days, period_start(half_year)))
        stop = int(np.searchsorted(self.days, period_end(half_year), side="right"))
        if half_year in DEVELOPMENT:
            stop -= HORIZON + 1  # no label reaches into a tested half-year
        return np.arange(first, min(stop, len(self.days) - 6), EVERY)


def read_market(data: Path, panel: str, kept: Path) -> Market:
    """Bars and membership of every day, from the folder of real data or from an earlier run's copy."""
    file = kept / "market.npz"
    if not file.exists():
        source = MappedSource(panel, data)
        days = source.days()
        symbols = np.unique(np.concatenate([source.load("daily_bars", d).frame["symbol"].to_numpy(str) for d in days]))
        columns = {c: np.full((len(days), len(symbols)), np.nan) for c in COLUMNS}
        columns |= {c: np.zeros((len(days), len(symbols)), bool) for c in ("suspended", "st", *INDICES)}
        for d, day in enumerate(days):
            bar, info = (source.load(table, day).frame for table in ("daily_bars", "reference"))
            at = np.searchsorted(symbols, bar["symbol"].to_numpy(str))
            for c in (*COLUMNS, "suspended", "st"):
                columns[c][d, at] = bar[c]
            at = np.searchsorted(symbols, info["symbol"].to_numpy(str))
            for c in INDICES:
                columns[c][d, at] = info[f"{c}_member"]
        kept.mkdir(parents=True, exist_ok=True)
        np.savez(kept / "writing.npz", days=days.astype("datetime64[D]"), symbols=symbols, **columns)
        (kept / "writing.npz").rename(file)
    stored = np.load(file)
    columns = {c: stored[c] for c in stored.files if c not in ("days", "symbols")}
    return Market(stored["days"], stored["symbols"].astype(object), columns, kept)


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


def alpha158_of(market: Market, days: np.ndarray) -> Iterator[np.ndarray]:
    """Each day's Alpha158 features ``(S, 158)``, stored or made now."""
    folder = market.kept / "alpha158"
    folder.mkdir(parents=True, exist_ok=True)
    for d in days:
        file = folder / f"{market.days[d]}.npy"
        if not file.exists():
            first = max(d - ALPHA158_DAYS, 0)
            np.save(file, next(alpha158(market.bars[first : d + 1], [d - first])).astype(np.float32))
        yield np.load(file)


def ridge(market: Market, half_year: str) -> dict[str, np.ndarray]:
    """Scores ``(n, S)`` of each of :data:`RIDGES` on the tested days.

    Trained on every fifth day whose label is known before the half-year, each day with the same weight; features are
    scaled as the networks on them scale theirs.
    """
    panel, cut = market.price_volume.values, int(np.searchsorted(market.days, period_start(half_year)))
    known = {name: cut - horizon - 1 for name, (horizon, _) in RIDGES.items()}
    days = np.arange(LOOK_BACK, max(known.values()), EVERY)
    here = {d: np.isfinite(panel[d, :, 0]) for d in days}
    middles = np.array([np.median(np.abs(panel[d][here[d]]), axis=0) for d in days])  # (days, F)
    scale = 1.4826 * middles.sum(0) / np.maximum((middles > 0).sum(0), 1)
    scale[scale == 0] = 1.0
    gram, moments = np.zeros((len(scale),) * 2), {name: np.zeros(len(scale)) for name in RIDGES}
    for d in days:
        rows = here[d] & np.isfinite(market.returns[HORIZON][d])
        if rows.sum() < 30:
            continue
        z = (panel[d][rows] / scale).clip(-3, 3)
        gram += z.T @ z / len(z)
        for name in RIDGES:
            if d < known[name]:
                moments[name] += z.T @ market.ridge_labels[name][d, rows] / len(z)
    penalty = PENALTY * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.stack([np.linalg.solve(gram + penalty, moments[name]) for name in RIDGES])
    tested = [(panel[d] / scale).clip(-3, 3) @ weights.T for d in market.tested(half_year)]  # NaN stays NaN
    return dict(zip(RIDGES, np.moveaxis(np.array(tested), -1, 0), strict=True))


def peer(market: Market, name: str, half_year: str) -> np.ndarray:
    """Linear or LightGBM on Alpha158, trained as Qlib's examples do on the 10-day return of every fifth day."""
    cut = int(np.searchsorted(market.days, period_start(half_year)))
    labelled = np.arange(61, cut - HORIZON - 1, EVERY)

    def learned(days: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for d, section in zip(days, alpha158_of(market, days), strict=True):
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
    for row, d, section in zip(out, days, alpha158_of(market, days), strict=True):
        row[market.traded[d]] = model.predict(section[market.traded[d]])
    return out


def trained(market: Market, name: str, half_year: str, count: int | None) -> np.ndarray:
    """A catalog entry, its first ``count`` seeds or all."""
    spec = get(name)
    on_features = spec.inputs[0].panel == "price_volume"
    inputs = {"price_volume": market.price_volume} if on_features else market.inputs
    seeds = train(
        spec, inputs, market.returns[HORIZON], None, half_year, spec.seeds[:count],
        out_dir=market.kept / "models" / name, on_progress=None,
    )  # fmt: skip
    for model in seeds:
        course = model.card["training"]
        print(f"  {name} {half_year} seed {model.seed}: {course['steps']} steps, best {course['best_step']}, "
              f"validation RankIC {course['best_valid_rank_ic']:.3f}", flush=True)  # fmt: skip
    return predict(seeds, inputs, market.days[market.tested(half_year)])


def scores(market: Market, name: str, half_year: str, count: int | None) -> np.ndarray:
    """A signal's scores on the tested days ``(n, S)``, stored or made now; of a catalog entry ``count`` seeds."""
    if name in MEANS:
        return fuse([(scores(market, s, half_year, count), 1.0) for s in MEANS[name]])
    if name in COMBINATIONS:
        c = COMBINATIONS[name]
        return fuse([(scores(market, p, half_year, count), w) for p, w in zip(c.parts, c.weights, strict=True)])
    kept = market.kept / "scores"
    seeds = f"{get(name).hash}-{count or 'all'}" if name in CATALOG else ""
    file = kept / f"{name}-{half_year}-{seeds}.npy"
    if not file.exists():
        began = time.process_time()
        if name in RIDGES:
            for other, made in ridge(market, half_year).items():
                store(kept / f"{other}-{half_year}-.npy", made)
        else:
            make: Callable[[], np.ndarray] = (
                (lambda: trained(market, name, half_year, count)) if name in CATALOG
                else (lambda: peer(market, name, half_year)) if name in PEERS
                else (lambda: simple(market, name, half_year))
            )  # fmt: skip
            store(file, make())
        print(f"{name} {half_year}: {time.process_time() - began:.0f} s of CPU", flush=True)
    return np.load(file).astype(np.float64)


def store(file: Path, values: np.ndarray) -> None:
    """Write an array atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file.with_suffix(".tmp"), "wb") as out:
        np.save(out, values.astype(np.float32))
    file.with_suffix(".tmp").rename(file)


def rank_ics(market: Market, half_year: str, score: np.ndarray, universe: str) -> np.ndarray:
    """RankIC with the 5-day return on each tested day."""
    days, member = market.tested(half_year), market.universes[universe]
    return np.array(
        [rank_ic(np.where(member[d], s, np.nan), market.returns[5][d]) for d, s in zip(days, score, strict=True)]
    )


def table(market: Market, names: list[str], half_years: list[str], universe: str, count: int | None) -> str:
    """RankIC of each signal: mean of each half-year and over them, over its deviation and standard error by day."""
    lines = [
        f"| {universe} | {' | '.join(half_years)} | mean | mean / deviation | t |",
        "|---|" + "---|" * (len(half_years) + 3),
    ]
    for name in names:
        each = [rank_ics(market, h, scores(market, name, h, count), universe) for h in half_years]
        means = [float(np.nanmean(e)) for e in each]
        every = np.concatenate(each)
        steady = np.nanmean(every) / np.nanstd(every)
        cells = " | ".join(f"{m:.3f}" for m in (*means, float(np.mean(means))))
        lines.append(f"| `{name}` | {cells} | {steady:.2f} | {steady * np.sqrt(np.isfinite(every).sum()):.1f} |")
    return "\n".join(lines)


def differences(market: Market, names: list[str], half_years: list[str], against: str, count: int | None) -> str:
    """RankIC of each signal less that of ``against``, by day over the stocks that both score."""
    lines = ["| universe | signal | less | mean difference | standard error | t |", "|---|---|---|---|---|---|"]
    for universe in UNIVERSES:
        for name in names:
            less = []
            for h in half_years:
                a, b = scores(market, name, h, count), scores(market, against, h, count)
                both = np.isfinite(a) & np.isfinite(b)
                mine, other = (rank_ics(market, h, np.where(both, s, np.nan), universe) for s in (a, b))
                less.append(mine - other)
            every = np.concatenate(less)
            every = every[np.isfinite(every)]
            error = every.std(ddof=1) / np.sqrt(len(every))
            if name != against:
                lines.append(f"| {universe} | `{name}` | `{against}` | {every.mean():+.4f} | {error:.4f} | "
                             f"{every.mean() / error:+.1f} |")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help=f"folder that holds {' and '.join(PANELS.values())}")
    parser.add_argument("--panel", choices=list(PANELS), default="csi800_ever")
    parser.add_argument("--out", type=Path, default=Path("/tmp/mg-real-panel"), help="what is stored between runs")
    parser.add_argument("--half-years", nargs="+", default=list(HALF_YEARS), help="or: development")
    parser.add_argument("--signals", nargs="+", default=list(SIGNALS))
    parser.add_argument("--seeds", type=int, help="of each catalog entry; by default all")
    parser.add_argument("--against", help="signal that the others are compared with, day by day")
    chosen = parser.parse_args()
    half_years = list(DEVELOPMENT) if chosen.half_years == ["development"] else chosen.half_years
    market = read_market(chosen.data, chosen.panel, chosen.out / chosen.panel)
    names, count = chosen.signals, chosen.seeds
    for half_year in half_years:
        for name in (*names, *filter(None, [chosen.against])):
            scores(market, name, half_year, count)
    for universe in UNIVERSES:
        print("\n" + table(market, names, half_years, universe, count))
    if chosen.against:
        print("\n" + differences(market, names, half_years, chosen.against, count))


if __name__ == "__main__":
    main()
