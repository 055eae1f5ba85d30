"""Training (one asset a model, half-yearly), predictions (one a model, daily) and signals."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.labels import HORIZONS
from mg_assets.errors import DamagedPartitionError, DataError, MissingPartitionError, SettingsError
from mg_assets.extensions import code_digest
from mg_assets.factors.cross_section import WIDTH
from mg_assets.factors.registry import ALL34, FACTORS, HF27
from mg_assets.lake.local_files import local_folder, training_folder
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import half_year_name, half_year_of, half_year_start
from mg_assets.modelling.monitor import TrainingMonitor, open_logs, stored_rate
from mg_assets.modelling.panels import MADS, columns_of, market_value_basis, tables_of
from mg_assets.modelling.rank_ic import known_rank_ic
from mg_assets.modelling.score_tables import scores_of
from mg_assets.modelling.signals import (
    ICIR_PRICE,
    Scored,
    fused,
    nothing,
    of_model,
    of_table,
    score_part,
    weighted_by_hand,
)
from mg_assets.modelling.training_inputs import training_data, training_windows
from mg_assets.orchestration.lake_asset import LakeAsset, lake_asset
from mg_assets.orchestration.lineage import all_from
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.orchestration.partitions import HALF_YEARLY
from mg_assets.settings import settings
from mg_assets.settings.catalogs import TableSignal
from mg_models.catalog import CombinationSpec, ModelSpec
from mg_models.catalog.provenance import described
from mg_models.data.splits import short_history
from mg_models.specs.networks import NETWORKS

if TYPE_CHECKING:  # torch and drawing are loaded by the steps that use them: every run process imports this file
    from mg_models.checkpoint import TrainedModel

SCORE = {"score": "prediction, z-scored over the day's stocks; higher is better"}
CHECK_COLUMNS = {
    "seed": "seed of the ensemble's model",
    "epoch": "current epoch",
    "step": "optimiser steps so far",
    "loss": "mean training loss since the check before",
    "rank_ic": "mean RankIC over the validation days",
}
CURVE_ROWS = 150  # of a model's checks, shown in the UI
PREDICTION_VERSION = "2"  # with certificates


def entry(name: str) -> ModelSpec:
    """A trained model of the deployment."""
    return settings().catalogs.models[name]


def network_code(spec: ModelSpec) -> dict[str, str]:
    """Digests of the source text of a network of the user's own; none for a built-in one."""
    kind = type(spec.network)
    if kind in NETWORKS.values():
        return {}
    build = getattr(kind, "build", None)
    if build is None:
        raise DataError(
            f"{spec.name}: no network is tied to {kind.__name__}; put @mg_models.network({kind.__name__}) on it"
        )
    return {"network code": f"{code_digest(kind)} {code_digest(build)}"}


def _training_asset(name: str) -> LakeAsset:
    spec = entry(name)
    windows, code = training_windows(spec), network_code(spec)

    @lake_asset(
        f"{name}_model",
        group="models",
        partitions=HALF_YEARLY,
        needs=windows,
        config=(spec, code) if code else spec,
        kinds={"pytorch"},
        pool="gpu",
        columns=CHECK_COLUMNS,
        description=f"{spec.description}\n\nRetrained every half-year on all earlier days, excluding an embargo of the "
        f"label horizon. Stored: weights (safetensors) and a JSON card for each seed, and the validation curves as "
        f"this table. Source: {spec.source}.\n\n{described(spec)}",
    )
    def make(build: Build) -> Iterator[Built]:
        from mg_models.training.retrain import train_many

        names = build.keys  # 2017H1, ...
        logs = open_logs(settings().training_logs, build.lake, name)  # fails before hours of work, not after
        inputs, axes, labels, label_end = training_data(build.lake, spec, names, _days_made(build, name))
        build.log(
            f"{name}: {len(axes.days)} days x {len(axes.symbols)} stocks on {build.device}, "
            f"{len(names)} half-years x {len(spec.seeds)} seeds, {build.workers} processes"
        )
        workers = build.workers if build.device == "cpu" else 1
        rate = stored_rate(build.lake, spec, min(names), build.device)
        monitor = TrainingMonitor(name, build.log, build.on_progress, logs, workers, rate)
        # a seed that is finished survives a kill here; a partition appears only when all its seeds are
        unfinished = training_folder(build.lake, f"{name}_model")
        _take_trained(build, f"{name}_model", unfinished)
        trained = train_many(
            spec,
            inputs,
            labels,
            label_end,
            names,
            device=build.device,
            workers=workers,
            on_progress=monitor.progress,
            out_dir=unfinished,
            fingerprints={need.table: build.recipes[need.table] for need in windows} | code,
            on_plan=monitor.launch,
            on_trained=monitor.finished,
        )
        for half_year in names:
            yield _stored(build, f"{name}_model", half_year, trained[half_year], monitor)
            shutil.rmtree(unfinished / half_year, ignore_errors=True)

    return make


def _take_trained(build: Build, table: str, unfinished: Path) -> None:
    """Take over what another run has trained since this one was asked for; seeds of other data are trained again."""
    for half_year in build.keys:
        written = build.lake.modified(table, half_year)
        if build.asked is None or written is None or written < build.asked:
            continue
        (unfinished / half_year).mkdir(parents=True, exist_ok=True)
        with local_folder(build.lake, table, half_year) as stored:
            for file in sorted(stored.glob("seed*"), reverse=True):  # a card after its weights
                shutil.copy2(file, unfinished / half_year)
        build.log(f"{table} {half_year}: another run has stored it since this one was asked for; its seeds are taken")


def _days_made(build: Build, name: str) -> Callable[[int, int], None] | None:
    """Reports the days whose features are made, before a training begins."""
    begun, report = time.monotonic(), build.on_progress
    if report is None:
        return None

    def on_day(done: int, total: int) -> None:
        report(f"features of {name}", done, total, (time.monotonic() - begun) / done * (total - done))

    return on_day


def _stored(build: Build, table: str, half_year: str, models: "list[TrainedModel]", monitor: TrainingMonitor) -> Built:
    """Move the finished seeds beside their training curves; seeds of an older training that had more go."""
    from mg_models import checkpoint
    from mg_portfolio.charts import figures as charts

    with local_folder(build.lake, table, half_year, write=True) as folder:
        for model in models:
            checkpoint.save(model, folder)
        checkpoint.keep_only(folder, [m.seed for m in models])
        cards = ", ".join(checkpoint.card_id(c.card) for c in checkpoint.load(folder))
        weights = checkpoint.weights_of(folder)
    curves = [{"seed": model.seed, **check} for model in models for check in model.card["training"]["checks"]]
    frame = pd.DataFrame(curves, columns=list(CHECK_COLUMNS))
    best = [m.card["training"]["best_valid_rank_ic"] for m in models]
    card = models[0].card
    pool, days = card["catalog_entry"]["universe"], card.get("days", {})
    ranges = {
        part: f"{r['first']} to {r['last']}, labels known {r['label_known']}" for part, r in card["ranges"].items()
    }
    return Built(
        half_year,
        frame,
        {
            "best_validation_rank_ic": round(float(np.mean(best)), 4),
            **ranges,
            **({"short_history": short_history(days)} if short_history(days) else {}),
            "embargo": card["embargo"],
            "validation_days": card["ranges"]["valid"]["days"],
            "stocks": card["stocks"],
            **({"pool_market_value": market_value_basis(build.lake, card["ranges"]["valid"]["last"])} if pool else {}),
            "device": card["device"],
            "seeds": len(models),
            "curves": dg.MetadataValue.md(charts.markdown_image(charts.training_curves(_by_seed(frame)))),
            "checks": _table(frame),
            "cards": cards,
            **({"cost": _cost_table(monitor.cost.lines())} if monitor.cost is not None else {}),
            "folder": dg.MetadataValue.path(build.lake.address(table, half_year)),
        },
        stored={
            "seeds": [m.seed for m in models],
            "weights": weights,
            "days": days,
            "validation_days": card["ranges"]["valid"]["days"],
            "training": {"config": card["config_hash"], **monitor.measured(half_year)},
        },
    )


def _table(curves: pd.DataFrame) -> dg.TableMetadataValue:
    """The checks of every seed as a table, evenly thinned where there are many."""
    each = max(CURVE_ROWS // max(curves["seed"].nunique(), 1), 2)
    shown = [
        rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(each, len(rows))).round().astype(int))]
        for _, rows in curves.groupby("seed")
    ]
    kinds: dict[str, type] = {c: float if c in ("loss", "rank_ic") else int for c in CHECK_COLUMNS}
    thinned = pd.concat(shown).round({"loss": 6, "rank_ic": 4})
    records = [dg.TableRecord({c: kind(row[c]) for c, kind in kinds.items()}) for _, row in thinned.iterrows()]
    return dg.MetadataValue.table(
        records, dg.TableSchema([dg.TableColumn(c, kind.__name__) for c, kind in kinds.items()])
    )


def _cost_table(lines: list[tuple[str, str]]) -> dg.MarkdownMetadataValue:
    return markdown_table(pd.DataFrame(lines, columns=["what", "estimate before launch"]))


def _by_seed(curves: pd.DataFrame) -> dict[int, dict[str, list[float]]]:
    return {int(s): {"rank_ic": list(c["rank_ic"]), "loss": list(c["loss"])} for s, c in curves.groupby("seed")}


def models_of(lake: Lake, name: str, half_year: str) -> "list[TrainedModel]":
    """The seeds of a half-year's model; damaged ones are marked, so that the next run trains them."""
    from mg_models import checkpoint
    from mg_models.errors import CheckpointError

    if not lake.has(f"{name}_model", half_year):
        raise MissingPartitionError(
            f"{name} has no model for {half_year}: materialise {name}_model for "
            f"{half_year_start(half_year)} first (or set MG_FIRST_MODEL to the first half-year that has one)"
        )
    table = f"{name}_model"
    stored = lake.metadata(table, half_year).get("weights")
    try:
        with local_folder(lake, table, half_year) as folder:
            models, weights = checkpoint.load(folder), checkpoint.weights_of(folder)
        if stored is not None and stored != weights:
            raise CheckpointError(
                f"seeds {[m.seed for m in models]} are not those of the last whole training: a later one was "
                "interrupted while it was stored"
            )
    except CheckpointError as error:
        lake.mark_damaged(table, half_year, str(error))
        where = f"the model {name} {half_year} in {lake.address(table, half_year)}"
        raise DamagedPartitionError(where, str(error)) from error
    return models


def _built(lake: Lake, made: Scored) -> Built:
    """A day's scores for the lake, with the certificate in the file's footer, and the RankIC as far as it is known."""
    shown: dict[str, Any] = {"symbols": len(made.frame)}
    if made.why:
        return Built(made.key, made.frame, {**shown, "absent": made.why}, table=made.table)
    return Built(
        made.key,
        made.frame,
        shown
        | known_rank_ic(lake, made.key, made.frame, HORIZONS)
        | {"certificate": dg.MetadataValue.json(made.certificate)},
        stored={"certificate": made.certificate},
        table=made.table,
    )


def _nothing_each(lake: Lake, tables: Iterable[str], keys: list[str], why: str) -> Iterator[Built]:
    return (_built(lake, nothing(table, key, why)) for key in keys for table in tables)


def _by_half_year(keys: list[str]) -> Iterator[tuple[str, list[str]]]:
    halves = np.array([half_year_name(h) for h in half_year_of(np.array(keys))])
    for half in dict.fromkeys(halves):
        yield half, [k for k, h in zip(keys, halves, strict=True) if h == half]


def _score_lineage(inputs: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Lineage of a signal, whose stocks are those of the first table."""
    return all_from(["symbol"], {next(iter(inputs)): ["symbol"]}) | all_from(["score"], inputs)


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
        needs=[*tables_of(spec), f"{name}_model"],
        anchor=tables_of(spec)[0].table,
        lineage=dict.fromkeys(spec.signals, _score_lineage({**columns_of(spec), f"{name}_model": ["seed"]})),
        version=PREDICTION_VERSION,
        config=(spec, settings().first_model),
        kinds={"pytorch"},
        columns={s: SCORE for s in spec.signals},
        description={name: text} | {s: f"{text} The prediction of {head}." for s, head in heads.items()},
    )
    def make(build: Build) -> Iterator[Built]:
        first = half_year_start(settings().first_model).isoformat()
        for half, keys in _by_half_year(build.keys):
            if keys[-1] < first:
                yield from _nothing_each(
                    build.lake, spec.signals, keys, f"before the first model, {settings().first_model}"
                )
                continue
            load = partial(models_of, build.lake, name, half)
            yield from map(partial(_built, build.lake), of_model(build.lake, spec, load, keys, build.device))

    return make


def _provenance(spec: CombinationSpec) -> str:
    """What is printed of a combination and what is ours, without what its rule does not use."""
    lines = [line for line in described(spec).splitlines() if not line.endswith(": not used by this rule")]
    if lines[-2:] == ["**Ours**", ""]:
        lines.append("- nothing")
    return "\n".join(lines)


def _hand_weighted(spec: CombinationSpec, back: int) -> LakeAsset:
    read = ("factor_scores", "daily_bars") if back else ("factor_scores",)

    @lake_asset(
        spec.name,
        group="predictions",
        needs=[UpstreamWindow(table, back=back) for table in read],
        anchor="factor_scores",
        lineage=_score_lineage({"factor_scores": HF27, **({"daily_bars": ICIR_PRICE} if back else {})}),
        version="3",  # the same bits whatever days are built together
        config=(spec, [[name, FACTORS[name].direction] for name in ALL34]),
        columns=SCORE,
        description=f"{spec.description} Source: {spec.source}.\n\n{_provenance(spec)}",
    )
    def make(build: Build) -> Iterator[Built]:
        return map(partial(_built, build.lake), weighted_by_hand(build.lake, spec, back, build.keys))

    return make


def _fusion(spec: CombinationSpec) -> LakeAsset:
    try:
        parts = [score_part(part) for part in spec.parts]
    except SettingsError as error:
        raise SettingsError(f"signals.{spec.name}: {error}") from error
    tables = dict.fromkeys((*(p.table for p in parts), *(["reference"] if any(p.raw for p in parts) else [])))
    factors = [[*part, MADS.get(part.table, WIDTH)] for part in parts if part.column != "score"]

    @lake_asset(
        spec.name,
        group="signals",
        needs=tables,
        lineage={
            "symbol": tuple(dict.fromkeys(f"{part.table}.symbol" for part in parts)),
            "score": tuple(f"{part.table}.{part.column}" for part in parts),
        },
        version=PREDICTION_VERSION,
        config=(spec, factors) if factors else spec,
        columns=SCORE,
        description=f"{spec.description} Source: {spec.source}.\n\n{_provenance(spec)}",
    )
    def make(build: Build) -> Iterator[Built]:
        return build.each(lambda key: _built(build.lake, fused(build.lake, spec, key)))

    return make


def _of_file(signal: TableSignal) -> LakeAsset:
    @lake_asset(
        signal.name,
        group="signals",
        config=(signal.name, signal.date, signal.symbol, signal.score),
        files=lambda key: scores_of(signal).digests.get(key, "absent"),
        columns=SCORE,
        kinds={"file"},
        description=f"{signal.description}\n\nRead from {signal.path}: the score of a date is decided at that day's "
        "close. A changed file makes the days stale whose scores changed.",
    )
    def make(build: Build) -> Iterator[Built]:
        return build.each(lambda key: _built(build.lake, of_table(signal, key)))

    return make


def _fusions_of(signals: Iterable[str]) -> Iterator[CombinationSpec]:
    """The fusions all of whose parts the deployment has, fusions of fusions included; factors it has all."""
    have, known = set(signals), set(CATALOGS.signals)
    for combination in CATALOGS.combinations.values():
        if combination.rule == "fuse" and have.issuperset(known.intersection(combination.parts)):
            have.add(combination.name)
            yield combination


CATALOGS = settings().catalogs
HAND_WEIGHTED = CATALOGS.hand_weighted
TRAINED = CATALOGS.trained(settings().held_signals)
PREDICTED = tuple(signal for name in TRAINED for signal in entry(name).signals)
FUSED = tuple(_fusions_of((*PREDICTED, *HAND_WEIGHTED, *CATALOGS.tables)))
ASSETS = [
    *(_training_asset(name) for name in TRAINED),
    *(_prediction_asset(name) for name in TRAINED),
    *(_hand_weighted(CATALOGS.combinations[name], back) for name, back in HAND_WEIGHTED.items()),
    *map(_of_file, CATALOGS.tables.values()),
    *(_fusion(c) for c in FUSED),
]
SIGNALS = (*HAND_WEIGHTED, *PREDICTED, *CATALOGS.tables, *(c.name for c in FUSED))
