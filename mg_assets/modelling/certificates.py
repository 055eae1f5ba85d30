"""Leakage certificates: the inputs of a day's scores, and verification against the lake and the calendar.

A prediction partition has its certificate in the file's footer, beside its recipe: the last day read of each input and
a fingerprint of what the networks were given; the model's half-year, cards and weights; the ranges of training and
validation, when their last labels became available, the embargo, and the fingerprints of the training's inputs; and a
digest of the scores. :func:`verify` recomputes everything; it does not trust the stored values:

1. Dates are checked against the calendar: no input later than the day, no incomplete week or month, the model that of
   the day's half-year, its last labels available before the half-year (training's: before validation).
2. The weights in the lake and the scores are digested again.
3. The scores are recomputed from the lake as of the day's close (:class:`~mg_assets.lake.as_of.AsOfLake`),
   where nothing later can be read: inputs must have the same fingerprints, and the scores must be the same.

:func:`verify_model` does the same for a half-year's model: its training data are read again from the lake as of the
eve of the half-year, and the best validation RankIC is recomputed from the stored weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.local_files import local_folder
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_name, half_year_of, half_year_start, month_of, shift, week_of
from mg_assets.modelling import signals
from mg_assets.modelling.labels import training_labels
from mg_assets.modelling.panels import model_inputs
from mg_assets.modelling.training_inputs import training_since
from mg_assets.settings import settings

if TYPE_CHECKING:
    from mg_models.checkpoint import TrainedModel

TOLERANCE = {"same": 1e-3, "other": 2e-2}
"""Largest difference of z-scored scores: on the same kind of device (the thread count changes a float32's last bits)
and on another kind."""


@dataclass(frozen=True)
class CertificateMeasure:
    """A measure of a partition's certificate (0: no fault), with examples of the faults."""

    name: str
    value: float
    observed: list[dict[str, Any]] = field(default_factory=list)


def _faults(name: str, faults: list[dict[str, Any]]) -> CertificateMeasure:
    return CertificateMeasure(name, float(len(faults)), faults)


def verify(lake: Lake, table: str, key: str, deep: bool = True) -> Iterator[CertificateMeasure]:
    """Verify a prediction partition's certificate against the lake and the calendar.

    Parameters
    ----------
    lake : Lake
    table, key : str
        A signal of the catalog and a day, which the lake must have.
    deep : bool
        Whether the scores are recomputed from the lake as of the day's close; fusions always are.

    Yields
    ------
    CertificateMeasure
        ``uncertified``, ``late_inputs``, ``late_labels``, ``other_model``, ``other_scores`` (counts of faults), then
        ``changed_inputs`` and ``score_difference`` (1: the tolerance for threads and devices) where ``deep``. Nothing
        for a partition without scores, or for one that the graph did not write (it has no recipe).
    """
    frame = lake.day(table, key)
    kept = lake.metadata(table, key)
    if not len(frame) or "recipe" not in kept:
        return
    certificate = kept.get("certificate")
    if not certificate or (certificate.get("signal"), certificate.get("day")) != (table, key):
        stored = "no certificate" if not certificate else f"of {certificate.get('signal')} {certificate.get('day')}"
        yield _faults("uncertified", [{"certificate": stored, "remedy": f"materialise {table} {key} again"}])
        return
    yield _faults("uncertified", [])
    yield _faults("late_inputs", _late_inputs(certificate, key))
    models: list[TrainedModel] = []
    model_of = settings().catalogs.model_of
    if table in model_of:
        models, other = _models(lake, model_of[table], certificate, key)
        yield _faults("other_model", other)
        yield _faults("late_labels", [f for m in models for f in late_labels(m, key)])
    elif "weights" in certificate:
        yield _faults("late_labels", _late_weights(table, certificate["weights"], key))
    found = signals.of_scores(frame)
    wrong = [] if found == certificate["scores"] else [{"certified": certificate["scores"], "found": found}]
    yield _faults("other_scores", wrong)
    if deep or table not in (*model_of, "hf_icir_weight"):
        yield from _recomputed(lake, table, key, frame, certificate, models)


def _late_inputs(certificate: signals.Certificate, key: str) -> list[dict[str, Any]]:
    """Inputs that reach past the day, or that include an incomplete week or month."""
    day = np.array([key], "datetime64[D]")
    bounds = {"weekly": str(week_of(day)[0]), "monthly": str(month_of(day)[0])}
    faults = []
    for name, given in certificate["inputs"].items():
        if given["last"] > key:
            faults.append({"input": name, "last": given["last"], "day": key})
        if given.get("completed", "") >= bounds.get(name, "9999"):
            faults.append({"input": name, "completed": given["completed"], "incomplete": bounds[name]})
    if not certificate["inputs"]:
        faults.append({"input": "none is listed", "day": key})
    return faults


def _models(
    lake: Lake, name: str, certificate: signals.Certificate, key: str
) -> "tuple[list[TrainedModel], list[dict[str, Any]]]":
    """The lake's models of the day's half-year, and where they differ from those of the certificate."""
    from mg_models import checkpoint
    from mg_models.errors import CheckpointError

    half, certified = half_year_name(half_year_of(np.array([key]))[0]), certificate["model"]
    if certified["half_year"] != half:
        return [], [{"model_of": certified["half_year"], "day_is_in": half}]
    try:
        with local_folder(lake, f"{name}_model", half) as folder:
            models = checkpoint.load(folder)  # digests the weights
    except CheckpointError as error:
        return [], [{"model": f"{name} {half}", "fault": str(error)}]
    have = {str(m.seed): m.card["weights_sha256"][:16] for m in models}
    faults = [
        {
            "seed": s,
            "certified": certified["seeds"].get(s, {}).get("weights", "absent"),
            "in_the_lake": have.get(s, "absent"),
        }
        for s in sorted({*have, *certified["seeds"]})
        if have.get(s) != certified["seeds"].get(s, {}).get("weights")
    ]
    return models, faults


def late_labels(model: "TrainedModel", key: str | None = None) -> list[dict[str, Any]]:
    """Labels of a training that were not available in time, by the calendar: ``ret_h`` of T is complete at T + h + 1.

    Parameters
    ----------
    model : TrainedModel
    key : str, optional
        A day that the model predicts: it must not come before the model's half-year either.

    Returns
    -------
    list of dict
        A fault each: the part of the training, its last label's day, and the day it was needed before.
    """
    start = np.datetime64(half_year_start(model.retrain))
    gap, ranges = model.spec.horizon + 1, model.card["ranges"]
    ends = {part: shift(ranges[part]["last"], gap) for part in ("train", "valid")}
    bounds = {"train": np.datetime64(ranges["valid"]["first"]), "valid": start}
    faults = [
        {
            "part": part,
            "last_label": ranges[part]["last"],
            "available": str(ends[part]),
            "needed_before": str(bounds[part]),
        }
        for part in ends
        if not ends[part] < bounds[part]
    ]
    if key is not None and np.datetime64(key) < start:
        faults.append({"part": "prediction", "day": key, "needed_from": str(start)})
    return faults


def _late_weights(table: str, used: dict[str, str], key: str) -> list[dict[str, Any]]:
    """The last weekly RankIC behind an ICIR weight, if its return was not complete at the day's close."""
    available = str(shift(used["last_week"], settings().catalogs.combinations[table].horizon + 1))
    return [{"last_week": used["last_week"], "available": available, "day": key}] if available > key else []


def _recomputed(
    lake: Lake,
    table: str,
    key: str,
    frame: pd.DataFrame,
    certificate: signals.Certificate,
    models: "list[TrainedModel]",
) -> Iterator[CertificateMeasure]:
    """Recompute a day's scores from the lake as of its close, and compare inputs and scores."""
    made = {s.table: s for s in _scores_of(AsOfLake(lake, key), table, key, models)}
    if table not in made:  # its model is not in the lake: a fault of other_model
        return
    scored = made[table]
    same_platform = certificate["made"]["platform"] == signals.platform_mark()
    changed = [
        {"input": name, "certified": given["fingerprint"], "as_of": _fingerprint(scored, name)}
        for name, given in certificate["inputs"].items()
        if same_platform and _fingerprint(scored, name) != given["fingerprint"]
    ]
    yield _faults("changed_inputs", changed)
    both = frame.set_index("symbol")["score"].to_frame("stored").join(
        scored.frame.set_index("symbol")["score"].rename("recomputed"), how="outer"
    )  # fmt: skip
    missing = both[both.isna().any(axis=1)]
    if len(missing):
        what = {"symbol": missing.index[0], "stocks_with_one_score": len(missing)}
        yield CertificateMeasure("score_difference", np.inf, [what])
        return
    gap = (both["stored"] - both["recomputed"]).abs()
    kind = "same" if certificate["made"]["device"] == "cpu" and same_platform else "other"
    value = float(gap.max()) / TOLERANCE[kind]
    worst = gap.idxmax()
    what = {"symbol": worst, "stored": both.loc[worst, "stored"], "as_of": both.loc[worst, "recomputed"]}
    yield CertificateMeasure("score_difference", value, [what] if value > 1 else [])


def _scores_of(lake: Lake, table: str, key: str, models: "list[TrainedModel]") -> Iterator[signals.Scored]:
    known = settings().catalogs
    if table in known.model_of:
        if models:
            yield from signals.of_model(lake, models[0].spec, lambda: models, [key])
    elif table in known.hand_weighted:
        yield from signals.weighted_by_hand(lake, known.combinations[table], known.hand_weighted[table], [key])
    elif table in known.combinations:
        yield signals.fused(lake, known.combinations[table], key)
    elif table in known.tables:
        yield signals.of_table(known.tables[table], key)
    else:
        raise DataError(f"{table} is not a signal of the catalog; its certificate cannot be verified")


def _fingerprint(made: signals.Scored, name: str) -> str:
    return made.certificate.get("inputs", {}).get(name, {}).get("fingerprint", "absent")


def verify_model(lake: Lake, name: str, half_year: str) -> Iterator[CertificateMeasure]:
    """Verify a half-year's model against the lake as of the eve of the half-year.

    Parameters
    ----------
    lake : Lake
    name, half_year : str
        A model of the catalog and a half-year, which the lake must have.

    Yields
    ------
    CertificateMeasure
        ``other_weights``: files that do not match their card; ``late_labels``; ``changed_inputs``: seeds whose inputs
        and labels, read again up to the last validation day, have another digest; ``rank_ic_difference``: the largest
        difference between a seed's best validation RankIC and that recomputed from its stored weights.
    """
    from mg_models import checkpoint
    from mg_models.errors import CheckpointError, ModelError
    from mg_models.training.fit import validation_rank_ic
    from mg_models.training.retrain import plan_training

    try:
        with local_folder(lake, f"{name}_model", half_year) as folder:
            models = checkpoint.load(folder)
    except CheckpointError as error:
        yield _faults("other_weights", [{"model": f"{name} {half_year}", "fault": str(error)}])
        return
    yield _faults("other_weights", [])
    faults = [f for m in models for f in late_labels(m)]
    yield _faults("late_labels", faults)
    spec, cut = models[0].spec, str(half_year_start(half_year))
    eve = str(shift(cut, -1))
    as_of = AsOfLake(lake, eve)
    inputs, axes = model_inputs(as_of, spec, training_since(spec, cut, as_of), eve, trained=[half_year])
    labels, label_end = training_labels(as_of, axes, spec)
    try:
        todo = plan_training(spec, inputs, labels, label_end, [half_year], [m.seed for m in models])
    except ModelError as error:
        yield _faults("changed_inputs", [{"model": f"{name} {half_year}", "fault": str(error)}])
        return
    now = todo.origins[half_year]
    recorded = all(m.card.get("input_digests") for m in models)  # not in cards of older versions
    changed = [
        {
            "seed": m.seed,
            "input": n,
            "trained_on": m.card.get("input_digests", {}).get(n, "")[:16],
            "as_of": d[:16],
        }
        for m in models
        for n, d in now.input_digests.items()
        if recorded and m.card["input_digests"].get(n) != d
    ]
    if recorded:
        yield _faults("changed_inputs", changed)
    data = todo.dataset()
    gaps = []
    for m in models:
        score = validation_rank_ic(m.network(), data, todo.splits[half_year])
        gaps.append((abs(score - m.card["training"]["best_valid_rank_ic"]), m, score))
    gap, worst, score = max(gaps, key=lambda g: g[0])
    what = {"seed": worst.seed, "stored": worst.card["training"]["best_valid_rank_ic"], "recomputed": score}
    yield CertificateMeasure("rank_ic_difference", gap, [what])
