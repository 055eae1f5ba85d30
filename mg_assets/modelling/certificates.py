"""Leakage certificates: what a day's scores were made of, and whether the lake and the calendar bear it out.

A prediction partition carries its certificate in the file's footer, beside its recipe: the latest day touched of each
input and a fingerprint of what the networks were fed; the model's half-year, cards and weights; how far training and
validation reached, when their last labels were known, the embargo, and the fingerprints of the training's inputs; and
a digest of the scores. :func:`verify` believes none of it:

1. The dates are held against the calendar: no input later than the day, no week or month under way, the model that of
   the day's half-year, its last labels known before the half-year (training's: before validation).
2. The weights' bytes in the lake are digested again, and so are the scores.
3. The scores are made once more from the lake as it was at the day's close (:class:`~mg_assets.lake.as_of.AsOfLake`),
   where nothing later can be read: inputs must have the same fingerprints, and the scores must be the same.

:func:`verify_model` does the same for a half-year's model: what it was trained on is read again from the lake as it was
on the eve of the half-year, and the best validation RankIC is computed again from the stored weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_name, half_year_of, half_year_start, month_of, shift, week_of
from mg_assets.modelling import signals
from mg_assets.modelling.panels import model_inputs, training_labels, training_since
from mg_models.catalog import CATALOG, COMBINATIONS

if TYPE_CHECKING:
    from mg_models.checkpoint import TrainedModel

ICIR_BACK = 52 * 5 + 12
HAND_WEIGHTED = {"hf_equal_weight": 0, "hf_icir_weight": ICIR_BACK}
"""Signals weighted by hand, and the days before one that count for its weights."""
TOLERANCE = {"same": 1e-3, "other": 2e-2}
"""Of z-scored scores made on the same kind of device (threads move a float32's last bits) and on another kind."""
MODEL_OF = {signal: name for name, spec in CATALOG.items() for signal in spec.signals}


@dataclass(frozen=True)
class Finding:
    """A measure of a partition's certificate (0: as it should be), and what was seen where it is not."""

    measure: str
    value: float
    observed: list[dict[str, Any]] = field(default_factory=list)


def _finding(measure: str, faults: list[dict[str, Any]]) -> Finding:
    return Finding(measure, float(len(faults)), faults)


def verify(lake: Lake, table: str, key: str, deep: bool = True) -> Iterator[Finding]:
    """Hold a prediction partition's certificate against the lake and the calendar.

    Parameters
    ----------
    lake : Lake
    table, key : str
        A signal of the catalog and a day, which the lake must have.
    deep : bool
        Whether the scores are made again from the lake as it was at the day's close; fusions always are.

    Yields
    ------
    Finding
        ``uncertified``, ``late_inputs``, ``late_labels``, ``other_model``, ``other_scores`` (counts of faults), then
        ``changed_inputs`` and ``score_difference`` (1 is what threads and devices may do) of a deep look. Nothing at
        all of a partition without scores, or of one that the graph did not make (it bears no recipe).
    """
    frame = lake.day(table, key)
    kept = lake.metadata(table, key)
    if not len(frame) or "recipe" not in kept:
        return
    certificate = kept.get("certificate")
    if not certificate or (certificate.get("signal"), certificate.get("day")) != (table, key):
        said = "no certificate" if not certificate else f"of {certificate.get('signal')} {certificate.get('day')}"
        yield _finding("uncertified", [{"certificate": said, "remedy": f"materialise {table} {key} again"}])
        return
    yield _finding("uncertified", [])
    yield _finding("late_inputs", _late_inputs(certificate, key))
    models: list[TrainedModel] = []
    if table in MODEL_OF:
        models, other = _models(lake, MODEL_OF[table], certificate, key)
        yield _finding("other_model", other)
        yield _finding("late_labels", [f for m in models for f in late_labels(m, key)])
    elif "weights" in certificate:
        yield _finding("late_labels", _late_weights(table, certificate["weights"], key))
    found = signals.of_scores(frame)
    wrong = [] if found == certificate["scores"] else [{"certified": certificate["scores"], "found": found}]
    yield _finding("other_scores", wrong)
    if deep or table not in (*MODEL_OF, "hf_icir_weight"):
        yield from _again(lake, table, key, frame, certificate, models)


def _late_inputs(certificate: signals.Certificate, key: str) -> list[dict[str, Any]]:
    """Inputs that reach past the day, or that hold a week or month which is not over."""
    day = np.array([key], "datetime64[D]")
    bounds = {"weekly": str(week_of(day)[0]), "monthly": str(month_of(day)[0])}
    faults = []
    for name, given in certificate["inputs"].items():
        if given["last"] > key:
            faults.append({"input": name, "last": given["last"], "day": key})
        if given.get("completed", "") >= bounds.get(name, "9999"):
            faults.append({"input": name, "completed": given["completed"], "under_way": bounds[name]})
    if not certificate["inputs"]:
        faults.append({"input": "none is named", "day": key})
    return faults


def _models(
    lake: Lake, name: str, certificate: signals.Certificate, key: str
) -> "tuple[list[TrainedModel], list[dict[str, Any]]]":
    """The lake's models of the day's half-year, and how they are not those of the certificate."""
    from mg_models import checkpoint
    from mg_models.errors import CheckpointError

    half, said = half_year_name(half_year_of(np.array([key]))[0]), certificate["model"]
    if said["half_year"] != half:
        return [], [{"model_of": said["half_year"], "day_is_in": half}]
    try:
        models = checkpoint.load(lake.folder(f"{name}_model", half))  # digests the weights
    except CheckpointError as error:
        return [], [{"model": f"{name} {half}", "fault": str(error)}]
    have = {str(m.seed): m.card["weights_sha256"][:16] for m in models}
    faults = [
        {
            "seed": s,
            "certified": said["seeds"].get(s, {}).get("weights", "absent"),
            "in_the_lake": have.get(s, "absent"),
        }
        for s in sorted({*have, *said["seeds"]})
        if have.get(s) != said["seeds"].get(s, {}).get("weights")
    ]
    return models, faults


def late_labels(model: "TrainedModel", key: str | None = None) -> list[dict[str, Any]]:
    """Labels of a training that were not known in time, by the calendar: ``ret_h`` of T is known at T + h + 1.

    ``key`` is a day that the model predicts: it must not come before the model's half-year either.
    """
    start = np.datetime64(half_year_start(model.retrain))
    gap, ranges = model.spec.horizon + 1, model.card["ranges"]
    ends = {part: shift(ranges[part]["last"], gap) for part in ("train", "valid")}
    bounds = {"train": np.datetime64(ranges["valid"]["first"]), "valid": start}
    faults = [
        {"part": part, "last_label": ranges[part]["last"], "known": str(ends[part]), "needed_before": str(bounds[part])}
        for part in ends
        if not ends[part] < bounds[part]
    ]
    if key is not None and np.datetime64(key) < start:
        faults.append({"part": "prediction", "day": key, "needed_from": str(start)})
    return faults


def _late_weights(table: str, used: dict[str, str], key: str) -> list[dict[str, Any]]:
    """The last weekly RankIC behind an ICIR weight, if its return was not known at the day's close."""
    known = str(shift(used["last_week"], COMBINATIONS[table].horizon + 1))
    return [{"last_week": used["last_week"], "known": known, "day": key}] if known > key else []


def _again(
    lake: Lake,
    table: str,
    key: str,
    frame: pd.DataFrame,
    certificate: signals.Certificate,
    models: "list[TrainedModel]",
) -> Iterator[Finding]:
    """Make a day's scores from the lake as it was at its close, and compare inputs and scores."""
    made = {s.table: s for s in _made_again(AsOfLake(lake, key), table, key, models)}
    if table not in made:  # its model is not in the lake: other_model has said so
        return
    again = made[table]
    same_platform = certificate["made"]["platform"] == signals.platform_mark()
    changed = [
        {"input": name, "certified": given["fingerprint"], "known_then": _fingerprint(again, name)}
        for name, given in certificate["inputs"].items()
        if same_platform and _fingerprint(again, name) != given["fingerprint"]
    ]
    yield _finding("changed_inputs", changed)
    both = frame.set_index("symbol")["score"].to_frame("stored").join(
        again.frame.set_index("symbol")["score"].rename("again"), how="outer"
    )  # fmt: skip
    lacking = both[both.isna().any(axis=1)]
    if len(lacking):
        what = {"symbol": lacking.index[0], "stocks_with_one_score": len(lacking)}
        yield Finding("score_difference", np.inf, [what])
        return
    gap = (both["stored"] - both["again"]).abs()
    kind = "same" if certificate["made"]["device"] == "cpu" and same_platform else "other"
    value = float(gap.max()) / TOLERANCE[kind]
    worst = gap.idxmax()
    what = {"symbol": worst, "stored": both.loc[worst, "stored"], "known_then": both.loc[worst, "again"]}
    yield Finding("score_difference", value, [what] if value > 1 else [])


def _made_again(lake: Lake, table: str, key: str, models: "list[TrainedModel]") -> Iterator[signals.Scored]:
    if table in MODEL_OF:
        if models:
            yield from signals.of_model(lake, models[0].spec, lambda: models, [key])
    elif table in HAND_WEIGHTED:
        yield from signals.weighted_by_hand(lake, COMBINATIONS[table], HAND_WEIGHTED[table], [key])
    elif table in COMBINATIONS:
        yield signals.fused(lake, COMBINATIONS[table], key)
    else:
        raise DataError(f"{table} is no signal of the catalog; its certificate cannot be verified")


def _fingerprint(made: signals.Scored, name: str) -> str:
    return made.certificate.get("inputs", {}).get(name, {}).get("fingerprint", "absent")


def verify_model(lake: Lake, name: str, half_year: str) -> Iterator[Finding]:
    """Hold a half-year's model against the lake as it was on the eve of the half-year.

    Yields
    ------
    Finding
        ``other_weights``: files that do not fit their card; ``late_labels``; ``changed_inputs``: seeds whose inputs and
        labels, read again up to the last validation day, have another digest; ``rank_ic_difference``: the greatest
        difference of a seed's best validation RankIC from that of its stored weights, computed again.
    """
    from mg_models import checkpoint
    from mg_models.errors import CheckpointError, ModelError
    from mg_models.training.fit import validate
    from mg_models.training.retrain import plan

    try:
        models = checkpoint.load(lake.folder(f"{name}_model", half_year))
    except CheckpointError as error:
        yield _finding("other_weights", [{"model": f"{name} {half_year}", "fault": str(error)}])
        return
    yield _finding("other_weights", [])
    faults = [f for m in models for f in late_labels(m)]
    yield _finding("late_labels", faults)
    spec, cut = models[0].spec, str(half_year_start(half_year))
    eve = str(shift(cut, -1))
    known = AsOfLake(lake, eve)
    inputs, axes = model_inputs(known, spec, training_since(spec, cut), eve)
    labels, label_end = training_labels(known, axes, spec)
    try:
        todo = plan(spec, inputs, labels, label_end, [half_year], [m.seed for m in models])
    except ModelError as error:
        yield _finding("changed_inputs", [{"model": f"{name} {half_year}", "fault": str(error)}])
        return
    now = todo.origins[half_year]
    stated = all(m.card.get("input_digests") for m in models)  # a card of an older version does not
    changed = [
        {
            "seed": m.seed,
            "input": n,
            "trained_on": m.card.get("input_digests", {}).get(n, "")[:16],
            "known_then": d[:16],
        }
        for m in models
        for n, d in now.input_digests.items()
        if stated and m.card["input_digests"].get(n) != d
    ]
    if stated:
        yield _finding("changed_inputs", changed)
    data = todo.dataset()
    gaps = []
    for m in models:
        score = validate(m.network(), data, todo.splits[half_year])
        gaps.append((abs(score - m.card["training"]["best_valid_rank_ic"]), m, score))
    gap, worst, score = max(gaps, key=lambda g: g[0])
    what = {"seed": worst.seed, "stored": worst.card["training"]["best_valid_rank_ic"], "again": score}
    yield Finding("rank_ic_difference", gap, [what])
