"""Training (one asset a model, half-yearly), predictions (one a model, daily) and signals."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.factors import by_symbol
from mg_assets.errors import MissingPartitionError
from mg_assets.factors.registry import FACTORS, HF27
from mg_assets.freshness import Needs
from mg_assets.lake import Build, Built, LakeAsset, lake_asset
from mg_assets.market.calendar import half_year_name, half_year_of, half_year_start, shift, trading_days
from mg_assets.model_inputs import lookback, model_inputs, tables_of, training_labels, training_since
from mg_assets.partitions import HALF_YEARLY
from mg_assets.settings import settings
from mg_assets.store import Lake
from mg_models.catalog import COMBINATIONS, CombinationSpec, ModelSpec, get, override, trained_parts
from mg_models.combine import equal_weight, fuse, icir_weight, icir_weights
from mg_portfolio.evaluation import rank_ic_by_day

if TYPE_CHECKING:  # torch and drawing are loaded by the steps that use them: every run process imports this file
    from mg_models.checkpoint import TrainedModel

SCORE = {"score": "prediction, z-scored over the day's stocks; higher is better"}
EVERY_HALF_YEAR = 40  # half-years of history that a mapping may reach back over: expanding windows
GPU_TAGS = {
    "dagster-k8s/config": {"container_config": {"resources": {"limits": {"nvidia.com/gpu": 1}}}},
}


def entry(name: str) -> ModelSpec:
    """The catalog's entry with the deployment's overrides."""
    return override(get(name), **settings().models.get(name, {}))


def _training_asset(name: str) -> LakeAsset:
    spec = entry(name)
    labels_from = "labels" if spec.label.price == "vwap" else "daily_bars"
    read = dict.fromkeys([*(n.table for n in tables_of(spec)), labels_from])
    needs = [Needs(table, back=EVERY_HALF_YEAR, ahead=-1) for table in read]

    @lake_asset(
        f"{name}_model",
        group="models",
        partitions=HALF_YEARLY,
        needs=needs,
        uses=("models",),
        kinds={"pytorch"},
        pool="gpu",
        op_tags=GPU_TAGS,
        columns={"seed": "of the ensemble", "step": "optimiser steps so far", "rank_ic": "on the validation days"},
        description=f"{spec.description}\n\nTrained anew for each half-year on all days before it, less the label's "
        f"horizon. Stored: weights (safetensors) and a JSON card for each seed, and the validation curves as this "
        f"table. Source: {spec.source}.",
    )
    def make(build: Build) -> Iterator[Built]:
        from mg_models.training import train_many

        names = build.keys  # 2017H1, ...
        since = training_since(spec, str(half_year_start(min(names))))
        until = str(shift(str(half_year_start(max(names))), -1))
        inputs, axes = model_inputs(build.lake, spec, since, until)
        labels, label_end = training_labels(build.lake, axes, spec)
        build.log(
            f"{name}: {len(axes.days)} days x {len(axes.symbols)} stocks on {build.device}, "
            f"{len(names)} half-years x {len(spec.seeds)} seeds, {build.workers} processes"
        )
        # a seed that is finished survives a kill here; a partition appears only when all its seeds are
        under_way = Path(build.lake.folder(f"{name}_model", names[0])).parent / ".training"
        trained = train_many(
            spec,
            inputs,
            labels,
            label_end,
            names,
            device=build.device,
            workers=build.workers if build.device == "cpu" else 1,
            progress=_reporter(build, name, len(names) * len(spec.seeds)),
            out_dir=under_way,
        )
        for half_year in names:
            yield _stored(build, f"{name}_model", half_year, trained[half_year])
            shutil.rmtree(under_way / half_year, ignore_errors=True)

    return make


def _reporter(build: Build, name: str, jobs: int):
    """Log a line for each (retrain, seed) whenever its best RankIC has not been logged for a while."""
    seen: dict[tuple[str, int], int] = {}

    def report(p) -> None:
        key = (p.retrain, p.seed)
        count = seen[key] = seen.get(key, 0) + 1
        if count % 10 == 1:
            build.log(
                f"{name} {p.retrain} seed {p.seed} ({len(seen)} of {jobs} begun): step {p.step}, validation RankIC "
                f"{p.valid_rank_ic:+.4f}, best {p.best_rank_ic:+.4f}, at least {p.seconds_left:.0f} s left"
            )

    return report


def _stored(build: Build, table: str, half_year: str, models: "list[TrainedModel]") -> Built:
    """Move the finished seeds beside their training curves."""
    from mg_models import checkpoint
    from mg_portfolio.report import charts

    folder = Path(build.lake.folder(table, half_year))
    curves = []
    for model in models:
        checkpoint.save(model, folder)
        for check in model.card["training"]["checks"]:
            curves.append({"seed": model.seed, **check})
    frame = pd.DataFrame(curves)
    best = [m.card["training"]["best_valid_rank_ic"] for m in models]
    card = models[0].card
    return Built(
        half_year,
        frame,
        {
            "best_validation_rank_ic": round(float(np.mean(best)), 4),
            "train": f"{card['ranges']['train']['first']} to {card['ranges']['train']['last']}",
            "valid": f"{card['ranges']['valid']['first']} to {card['ranges']['valid']['last']}",
            "stocks": card["stocks"],
            "device": card["device"],
            "seeds": len(models),
            "curves": dg.MetadataValue.md(charts.markdown_image(charts.training_curves(_by_seed(frame)))),
            "folder": dg.MetadataValue.path(str(folder)),
        },
    )


def _by_seed(curves: pd.DataFrame) -> dict[int, dict[str, list[float]]]:
    return {int(s): {"rank_ic": list(c["rank_ic"]), "loss": list(c["loss"])} for s, c in curves.groupby("seed")}


def models_of(lake: Lake, name: str, half_year: str) -> "list[TrainedModel]":
    """The seeds of a half-year's model."""
    from mg_models import checkpoint

    if not lake.has(f"{name}_model", half_year):
        raise MissingPartitionError(
            f"{name} has no model for {half_year}: materialise {name}_model for "
            f"{half_year_start(half_year)} first (or set MG_FIRST_MODEL to the first half-year that has one)"
        )
    return checkpoint.load(lake.folder(f"{name}_model", half_year))


def _scores(key: str, symbols: np.ndarray, score: np.ndarray, why: str = "") -> Built:
    here = np.isfinite(score)
    frame = by_symbol(symbols[here], score[here][:, None], ["score"])
    return Built(key, frame, {"symbols": int(here.sum()), **({"absent": why} if why else {})})


def _nothing(key: str, why: str) -> Built:
    return _scores(key, np.array([], object), np.array([]), why)


def _nothing_each(tables: Iterable[str], keys: list[str], why: str) -> Iterator[Built]:
    return (replace(_nothing(key, why), table=table) for key in keys for table in tables)


def _by_half_year(keys: list[str]) -> Iterator[tuple[str, list[str]]]:
    halves = np.array([half_year_name(h) for h in half_year_of(np.array(keys))])
    for half in dict.fromkeys(halves):
        yield half, [k for k, h in zip(keys, halves, strict=True) if h == half]


def _prediction_asset(name: str) -> LakeAsset:
    spec = entry(name)
    text = (
        f"{spec.description} Mean over seeds of z-scored predictions, by the model of the day's half-year; uses data "
        f"up to the day's close. Source: {spec.source}."
    )
    heads = dict(zip(spec.signals[1:], spec.heads, strict=True))

    @lake_asset(
        spec.signals,
        group="predictions",
        needs=[*tables_of(spec), Needs(f"{name}_model")],
        anchor=tables_of(spec)[0].table,
        kinds={"pytorch"},
        columns={s: SCORE for s in spec.signals},
        description={name: text} | {s: f"{text} The prediction of {head}." for s, head in heads.items()},
    )
    def make(build: Build) -> Iterator[Built]:
        from mg_models.inference import predict_signals

        first = half_year_start(settings().first_model).isoformat()
        for half, keys in _by_half_year(build.keys):
            if keys[-1] < first:
                yield from _nothing_each(spec.signals, keys, f"before the first model, {settings().first_model}")
                continue
            begin = str(shift(keys[0], -lookback(spec)))
            inputs, axes = model_inputs(build.lake, spec, since=begin, until=keys[-1])
            if not len(axes.symbols):
                yield from _nothing_each(spec.signals, keys, "no inputs in the window")
                continue
            models = models_of(build.lake, name, half)
            values = predict_signals(models, inputs, np.array(keys, "datetime64[D]"), build.device)
            for at, key in enumerate(keys):
                for table in spec.signals:
                    row = values[table][at]
                    why = "" if np.isfinite(row).any() else "no stock has its inputs"
                    yield replace(_scores(key, axes.symbols, row, why), table=table)

    return make


def _hand_weighted(spec: CombinationSpec, back: int) -> LakeAsset:
    needs = [Needs("factor_scores", back=back)] + ([Needs("daily_bars", back=back)] if back else [])

    @lake_asset(
        spec.name,
        group="predictions",
        needs=needs,
        anchor="factor_scores",
        columns=SCORE,
        description=f"{spec.description} Source: {spec.source}.",
    )
    def make(build: Build) -> Iterator[Built]:
        directions = np.array([FACTORS[n].direction for n in HF27], float)
        days = [str(d) for d in trading_days(shift(build.keys[0], -back) if back else build.keys[0], build.keys[-1])]
        panel = build.lake.panel("factor_scores", days, list(HF27), missing="empty")
        at = np.searchsorted(panel.days.astype(str), build.keys)
        scores = panel.stack(HF27)  # (day, stock, factor)
        if not len(panel.symbols):
            yield from (_nothing(k, "no factor scores in the window") for k in build.keys)
            return
        if spec.rule == "equal_weight":
            values = equal_weight(scores[at], directions)
        else:
            values = icir_weight(scores[at], _icir(build.lake, spec, scores, panel.days, panel.symbols, at))
        for key, row in zip(build.keys, values, strict=True):
            few = (
                f"fewer than {spec.min_observations} weekly RankICs known"
                if spec.rule == "icir_weight"
                else "no factors"
            )
            yield _scores(key, panel.symbols, row, "" if np.isfinite(row).any() else few)

    return make


def _icir(
    lake: Lake, spec: CombinationSpec, scores: np.ndarray, days: np.ndarray, symbols: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Weights ``(len(at), F)`` from weekly RankICs, each used only once its exit price is known."""
    bars = lake.panel("daily_bars", list(days), ["vwap", "adj_factor"], symbols, missing="empty")
    price = bars["vwap"] * bars["adj_factor"]
    gap = spec.horizon + 1
    forward = np.full(price.shape, np.nan)
    forward[:-gap] = price[gap:] / price[1 : -spec.horizon] - 1
    # weeks are counted from the calendar's start, so that a day's weights do not depend on the run's first day
    ordinal = np.searchsorted(trading_days(), np.array(days, "datetime64[D]"))
    weekly = np.flatnonzero(ordinal % spec.horizon == 0)
    everyone = np.ones((len(weekly), len(symbols)), bool)
    rank_ic = np.stack(
        [rank_ic_by_day(scores[weekly, :, f], forward[weekly], everyone) for f in range(scores.shape[2])], axis=1
    )
    stamps = np.array(days, "datetime64[D]")
    known = np.full(len(weekly), np.datetime64("NaT"), "datetime64[D]")
    inside = weekly + gap < len(days)
    known[inside] = stamps[weekly[inside] + gap]
    return icir_weights(rank_ic, known, stamps[at], spec.window, spec.min_observations)


def _fusion(spec: CombinationSpec) -> LakeAsset:
    @lake_asset(
        spec.name,
        group="signals",
        needs=[Needs(p) for p in spec.parts],
        columns=SCORE,
        description=f"{spec.description} Source: {spec.source}.",
    )
    def make(build: Build) -> Iterator[Built]:
        def fused(key: str) -> Built:
            parts = [build.lake.panel(p, [key], ["score"]) for p in spec.parts]
            absent = [p for p, panel in zip(spec.parts, parts, strict=True) if not len(panel.symbols)]
            if absent:
                return _nothing(key, f"no {' and no '.join(absent)} this day")
            symbols = np.array(sorted(set.intersection(*(set(p.symbols) for p in parts))), dtype=object)
            rows = [build.lake.panel(p, [key], ["score"], symbols)["score"] for p in spec.parts]
            value = fuse(list(zip(rows, spec.weights, strict=True)))[0]
            return _scores(key, symbols, value)

        return build.each(fused)

    return make


def _fusions_of(signals: Iterable[str]) -> Iterator[CombinationSpec]:
    """The catalog's fusions whose parts are there, those of fusions among them."""
    have = set(signals)
    for combination in COMBINATIONS.values():
        if combination.rule == "fuse" and have.issuperset(combination.parts):
            have.add(combination.name)
            yield combination


ICIR_BACK = 52 * 5 + 12
TRAINED = trained_parts(settings().catalog)
HAND_WEIGHTED = {"hf_equal_weight": 0, "hf_icir_weight": ICIR_BACK}
PREDICTED = tuple(signal for name in TRAINED for signal in entry(name).signals)
FUSED = tuple(_fusions_of((*PREDICTED, *HAND_WEIGHTED)))
ASSETS = [
    *(_training_asset(name) for name in TRAINED),
    *(_prediction_asset(name) for name in TRAINED),
    *(_hand_weighted(COMBINATIONS[name], back) for name, back in HAND_WEIGHTED.items()),
    *(_fusion(c) for c in FUSED),
]
SIGNALS = (*HAND_WEIGHTED, *PREDICTED, *(c.name for c in FUSED))
