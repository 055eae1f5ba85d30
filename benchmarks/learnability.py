"""How much of a planted signal each model of the catalog recovers.

    python benchmarks/learnability.py [--models hf_gru ...] [--seeds 0 1 2] [--minutes 7] [--folder DIR]
        [--page docs/models.md]

Trains on the synthetic panels of benchmarks/synthetic.py (oracle RankIC about 0.12) and predicts a half-year after
the cut. The figure is the mean over days of the correlation of prediction and planted signal; that of several seeds is
of the mean of their z-scored predictions, as everywhere. Each (model, seed) is stored in ``--folder`` as it ends and is
not trained again; with ``--minutes`` none is begun after that time: call it again until nothing is left.
Figures go to benchmarks/results/learnability.json, and as a table into ``--page``.

``hf_gru`` and the models of bars run as the catalog has them. For the others the panels, histories and windows are
smaller and the learning rates higher, so that a core trains each in about a minute (:data:`QUICK`, stated in the
table).
"""

import argparse
import dataclasses
import hashlib
import json
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import synthetic
from peers.report import put

from mg_models.catalog import CATALOG, override
from mg_models.data.dataset import Dataset
from mg_models.data.day_statistics import daily_rank_ic, zscore_stocks
from mg_models.inference import predict
from mg_models.specs.losses import NegativeIcSpec, SquaredErrorSpec
from mg_models.specs.model import ModelSpec
from mg_models.training.retrain import train

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "learnability.json"
TARGETS = {"hf_gru": 0.58, "lf_multitask": 0.60}
EVERY = 5
"""Days between two predicted ones."""

PANELS: dict[str, tuple[str, Callable[[], synthetic.Synthetic]]] = {
    "factors": ("2016H2", lambda: synthetic.factors(1000, 1000)),
    "bars": ("2016H2", lambda: synthetic.bars(1000, 1000)),
    "factors_and_bars": ("2016H2", lambda: synthetic.factors_and_bars(1000, 1000)),
    "price_volume": ("2016H2", lambda: synthetic.price_volume(1000, 500)),
    "granular": ("2014H2", lambda: synthetic.granular(480, 500)),
    "daily": ("2015H2", lambda: synthetic.daily(760, 500, lagged=False)),
    "daily_lagged": ("2015H2", lambda: synthetic.daily(760, 500, lagged=True)),
}
QUICK: dict[str, dict[str, Any]] = {
    "granular": {
        "train_days": 300, "valid_days": 60, "every": 3, "learning_rate": 0.005, "batch_rows": 2000, "max_epochs": 8,
    },
    "daily": {
        "train_days": 500, "valid_days": 120, "every": 2, "learning_rate": 0.0005, "max_epochs": 20, "patience": 5,
    },
    "daily_lagged": {
        "train_days": 500, "valid_days": 120, "every": 5, "learning_rate": 0.001, "max_epochs": 12, "patience": 4,
    },
}  # fmt: skip
INPUTS = {
    "hf", "daily", "weekly", "monthly", "price_volume", "daily_factors",
    "features_240m", "features_60m", "features_30m",
}  # fmt: skip
GRANULAR_DAYS = 5
"""Days of the window of models that read granular features; 60 or 30 in the catalog."""


def panel_of(spec: ModelSpec) -> str:
    """Key of :data:`PANELS` for an entry."""
    names = {i.panel for i in spec.inputs}
    if names == {"hf"}:
        return "factors"
    if "hf" in names:
        return "factors_and_bars"
    if "daily" in names or names & {"weekly", "monthly"}:
        return "bars"
    if "price_volume" in names:
        return "price_volume"
    if "daily_factors" in names:
        return "daily" if spec.inputs[0].steps == 1 else "daily_lagged"
    return "granular"


def quick(spec: ModelSpec) -> ModelSpec:
    """The entry at the size that is trained here."""
    changes = dict(QUICK.get(panel_of(spec), {}))
    if panel_of(spec) == "granular":
        changes["steps"] = {i.panel: GRANULAR_DAYS * i.per_day for i in spec.inputs}
    return override(spec, **changes)


def specs() -> dict[str, ModelSpec]:
    """Every trained entry that reads :data:`INPUTS` alone, and the same networks with the other loss."""
    out = {name: quick(spec) for name, spec in CATALOG.items() if {i.panel for i in spec.inputs} <= INPUTS}
    plain = override(CATALOG["hf_gru"], sigmoid=False)
    variants = {
        "hf_gru, no sigmoid": plain,
        "hf_gru, no sigmoid, MSE": dataclasses.replace(plain, loss=SquaredErrorSpec()),
        "lf_daily_only, MSE": dataclasses.replace(CATALOG["lf_daily_only"], loss=SquaredErrorSpec()),
    }
    return out | variants


class Store:
    """Predictions of each (model, seed) and what they cost, one file each."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str, spec: ModelSpec, seed: int) -> Path:
        """Changes with the entry, the panels and the formulas."""
        code = (HERE / "synthetic.py").read_bytes()
        key = hashlib.blake2b(code + repr((spec.hash, panel_of(spec))).encode(), digest_size=6).hexdigest()
        return self.folder / f"{name.replace(', ', '-').replace(' ', '_')}-{key}-{seed}.npz"

    def save(self, path: Path, prediction: np.ndarray, **figures: float) -> None:
        """Write a file atomically."""
        beside = path.with_suffix(".part.npz")
        np.savez(beside, prediction=prediction, **figures)
        beside.rename(path)


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def labels_of(market: synthetic.Synthetic, spec: ModelSpec) -> np.ndarray:
    return market.returns(spec.label.horizons)


def test_days(market: synthetic.Synthetic, retrain: str) -> np.ndarray:
    """Indices of the predicted days: every :data:`EVERY`-th after the cut whose label is available."""
    cut = np.datetime64(f"{retrain[:4]}-{'01' if retrain.endswith('1') else '07'}-01")
    return np.arange(np.searchsorted(market.days, cut), len(market.days) - 21, EVERY)


def correlation(prediction: np.ndarray, signal: np.ndarray) -> float:
    """Mean over days of the correlation over stocks, NaN left out."""
    signal = zscore_stocks(np.where(np.isfinite(prediction), signal, np.nan))
    return float(np.nanmean(np.nanmean(zscore_stocks(prediction) * signal, axis=1)))


def one(spec: ModelSpec, seed: int, market: synthetic.Synthetic, retrain: str) -> tuple[np.ndarray, dict[str, float]]:
    began = cpu()
    (model,) = train(spec, market.inputs, labels_of(market, spec), None, retrain, seeds=[seed])
    cost = cpu() - began
    record = model.card["training"]
    wanted = market.days[test_days(market, retrain)]
    figures = {"cpu": cost, "steps": record["steps"], "epochs": record["epochs"], "best_step": record["best_step"]}
    return predict([model], market.inputs, wanted), figures


def summary(name: str, spec: ModelSpec, paths: list[Path], market: synthetic.Synthetic, retrain: str) -> dict[str, Any]:
    """A row of the table from the stored seeds."""
    stored = [np.load(p) for p in paths]
    predictions = [s["prediction"] for s in stored]
    days = test_days(market, retrain)
    signal, label = market.signal[days], labels_of(market, spec)[days][..., 0]
    mean = np.mean([zscore_stocks(p) for p in predictions], axis=0)
    label = np.where(np.isfinite(mean), label, np.nan)
    data = Dataset(spec, market.inputs, labels_of(market, spec))
    return {
        "panel": panel_of(spec),
        "loss": "IC" if isinstance(spec.loss, NegativeIcSpec) or "ic" in spec.loss.kind else spec.loss.kind,
        "seeds": len(paths),
        "each": [round(correlation(p, signal), 4) for p in predictions],
        "correlation": round(correlation(mean, signal), 4),
        "rank_ic": round(float(np.nanmean(daily_rank_ic(mean, label))), 4),
        "oracle_rank_ic": round(float(np.nanmean(daily_rank_ic(signal, label))), 4),
        "steps": [int(s["steps"]) for s in stored],
        "best_step": [int(s["best_step"]) for s in stored],
        "cpu_seconds": [round(float(s["cpu"]), 1) for s in stored],
        "rows_a_day": int(data.eligible[days].sum(1).mean()),
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The page's table, panels one after another."""
    lines = []
    order = {p: k for k, p in enumerate(PANELS)}
    for panel in sorted({r["panel"] for r in rows.values()}, key=order.__getitem__):
        mine = {n: r for n, r in rows.items() if r["panel"] == panel}
        changed = ", ".join(f"{k} {v}" for k, v in QUICK.get(panel, {}).items())
        if panel == "granular":
            changed += f", windows of {GRANULAR_DAYS} days"
        title = f"**{panel}**" + (f" ({changed})" if changed else " (as the catalog has it)")
        head = "| model | correlation, seeds averaged | each seed | goal | RankIC | oracle | steps | CPU, s a seed |"
        lines += [title, "", head, "|---|---:|---|---:|---:|---:|---:|---:|"]
        for name, r in mine.items():
            each = " ".join(f"{x:.3f}" for x in r["each"])
            goal = f"{TARGETS[name]:.2f}" if name in TARGETS else ""
            model, comma, variant = name.partition(",")
            entry = f"`{model}`{comma}{variant}"
            steps, seconds = np.mean(r["steps"]), np.mean(r["cpu_seconds"])
            lines.append(
                f"| {entry} | {r['correlation']:.3f} | {each} | {goal} | "
                f"{r['rank_ic']:.3f} | {r['oracle_rank_ic']:.3f} | {steps:.0f} | {seconds:.0f} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def train_waiting(store: Store, every: dict[str, ModelSpec], waiting: list[tuple[str, int]], until: float) -> int:
    """Train and store (model, seed) pairs until that time (monotonic); how many are left."""
    market: tuple[str, synthetic.Synthetic] | None = None
    for at, (name, seed) in enumerate(waiting):
        if time.monotonic() > until:
            return len(waiting) - at
        spec = every[name]
        key = panel_of(spec)
        retrain, make = PANELS[key]
        if market is None or market[0] != key:
            market = None  # freed before the next is made
            market = (key, make())
        prediction, figures = one(spec, seed, market[1], retrain)
        store.save(store.path(name, spec, seed), prediction, **figures)
        found = correlation(prediction, market[1].signal[test_days(market[1], retrain)])
        cost = f"{figures['cpu']:.0f} CPU s, {figures['steps']:.0f} steps"
        print(f"{name} seed {seed}: {found:.3f} in {cost}", flush=True)
    return 0


def summaries(store: Store, every: dict[str, ModelSpec], seeds: list[int]) -> dict[str, dict[str, Any]]:
    """Rows of the table, of every model that has a stored seed."""
    rows: dict[str, dict[str, Any]] = {}
    for key, (retrain, make) in PANELS.items():
        stored = {
            name: paths
            for name, spec in every.items()
            if panel_of(spec) == key and (paths := [p for s in seeds if (p := store.path(name, spec, s)).exists()])
        }
        if stored:
            market = make()
            rows |= {name: summary(name, every[name], paths, market, retrain) for name, paths in stored.items()}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=None)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mg_learnability")
    parser.add_argument("--report", action="store_true", help="train nothing, report what is stored")
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()

    every, store = specs(), Store(args.folder)
    if not args.report:
        pairs = [(n, s) for s in args.seeds for n in args.models or every]  # one seed of every model, then the next
        waiting = [(n, s) for n, s in pairs if not store.path(n, every[n], s).exists()]
        waiting.sort(key=lambda pair: (pair[1], list(PANELS).index(panel_of(every[pair[0]]))))
        if left := train_waiting(store, every, waiting, time.monotonic() + 60 * args.minutes):
            print(f"{left} (model, seed) pairs left: call it again")
            return
    rows = summaries(store, every, args.seeds)
    RESULTS.parent.mkdir(exist_ok=True)
    about = {"machine": platform.machine(), "strength": synthetic.STRENGTH, "targets": TARGETS}
    RESULTS.write_text(json.dumps(about | {"models": rows}, indent=1) + "\n")
    print(table(rows))
    if args.page:
        put(args.page, "learnability", table(rows))


if __name__ == "__main__":
    main()
