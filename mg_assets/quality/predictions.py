"""Suite of a model's or signal's daily scores."""

from functools import partial

import numpy as np

from mg_assets.lake.table_view import View, fits_schema
from mg_assets.modelling import certificates
from mg_assets.modelling.rank_ic import label_rank_ic
from mg_assets.quality import shared_checks
from mg_assets.quality.factors import HORIZONS
from mg_assets.quality.suite import EXAMPLES, Check, Limit, Measures, Suite

WINDOWS = 4
"""Lengths of its label that a mean RankIC looks back on.

Labels of neighbouring days overlap: 20 days of 20-day returns are one observation, and an honest signal had 0.33 once
in seven years of real bars. Over four lengths it had 0.21 at most, with a standard deviation of 0.06.
"""
ENOUGH = 2  # lengths that a mean needs
IMPLAUSIBLE = 0.3  # no published A-share signal has a mean RankIC of even half of this
BY_CHANCE = 4.5
"""Standard deviations of chance that a mean RankIC may have: of 30 stocks, four labels' lengths give 0.42 at most."""
SCORED_SHARE = 0.5
DEEP_EVERY = 40  # of a run's partitions, the first and each fortieth are recomputed from the lake as of the day

CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "values",
        "No infinite score, scores for at least half of the rows, not all of them equal",
        (Limit("infinite"), Limit("finite_share", SCORED_SHARE, None), Limit("constant")),
    ),
    Check(
        "leakage",
        "The absolute mean RankIC with each label is below 0.3, over the last scored days of four times its length: "
        f"20, 40 and 80 days; with few stocks, less by what exceeds it in {BY_CHANCE} standard deviations of chance",
        (Limit("rank_ic_mean", None, IMPLAUSIBLE),),
    ),
    Check(
        "certificate",
        "The leakage certificate agrees with calendar and lake: no input later than the day, last labels available "
        "before the model's half-year (training's before validation), weights and scores as certified",
        tuple(map(Limit, ("uncertified", "late_inputs", "late_labels", "other_model", "other_scores"))),
    ),
    Check(
        "point_in_time",
        "Recomputed from the lake as of the day's close, inputs and scores are the same (a run's first day and each "
        f"{DEEP_EVERY}th; fusions every day)",
        (Limit("changed_inputs"), Limit("score_difference", None, 1.0)),
    ),
    shared_checks.SIZE_BAND,
)


def measure_predictions(view: View, measures: Measures) -> None:
    """Measures of a day's scores."""
    frame = shared_checks.read_checked(view, measures, ("score",), shared_checks.float_schema(("score",)))
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    score = frame["score"].to_numpy(np.float64)
    symbol = frame["symbol"].to_numpy(dtype=object)
    measures.rows("infinite", np.isinf(score), symbol=symbol)
    finite = score[np.isfinite(score)]
    if len(frame):
        measures.put("finite_share", len(finite) / len(frame), finite=len(finite), rows=len(frame))
    if len(finite) >= 2:
        measures.put("constant", float(np.ptp(finite) <= 1e-12 * np.abs(finite).max()), score=finite[0])
    if not view.run.light:
        _leakage(view, measures)
        _certificate(view, measures)
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())


def _certificate(view: View, measures: Measures) -> None:
    """Measures of :func:`mg_assets.modelling.certificates.verify`."""
    verified = view.run.cached(("certificates",), lambda: {"count": 0})
    deep = verified["count"] % DEEP_EVERY == 0
    found = list(certificates.verify(view.lake, view.table, view.key, deep))
    if not found:
        measures.notes.append("certificate: a day without scores, or not written by the graph")
        return
    verified["count"] += 1
    for measure in found:
        measures.put(measure.name, measure.value)
        measures.examples[measure.name] = measure.observed[:EXAMPLES]


def _leakage(view: View, measures: Measures) -> None:
    """Mean RankIC of the last scored days that have labels, this one among them."""
    labelled = set(view.run.keys("labels"))
    if not labelled:
        measures.notes.append("leakage: no labels in the lake")
        return
    # the exit of the longest label is 21 sessions away
    reach = (WINDOWS + 1) * max(HORIZONS) + 1
    keys = [k for k in [*view.run.before(view.key, reach), view.key] if k in labelled]
    daily = [view.run.cached(("rank_ic", k), partial(_rank_ic, view, k)) for k in keys]
    if not daily:
        return
    table = np.array(daily)  # (days, 2, horizons): RankIC, stocks
    means, raw, stocks = (np.full(len(HORIZONS), np.nan) for _ in range(3))
    for h, length in enumerate(HORIZONS):
        finite = table[np.isfinite(table[:, 0, h]), :, h][-WINDOWS * length :]
        if len(finite) >= ENOUGH * length:
            raw[h], stocks[h] = finite.mean(axis=0)
            chance = BY_CHANCE / np.sqrt(len(finite) / length * (stocks[h] - 1))  # labels that overlap are one
            means[h] = max(abs(raw[h]) - max(chance - IMPLAUSIBLE, 0.0), 0.0)
    labels = np.array([f"ret_{h}" for h in HORIZONS], object)
    measures.worst("rank_ic_mean", means, {"label": labels, "rank_ic": raw, "stocks": stocks})


def _rank_ic(view: View, key: str) -> np.ndarray:
    """RankIC of a day's scores with each label, and the number of stocks."""
    names = [f"ret_{h}" for h in HORIZONS]
    if not (
        fits_schema(view.lake, view.table, key, shared_checks.float_schema(("score",)))
        and fits_schema(view.lake, "labels", key, shared_checks.float_schema(names))
    ):
        return np.full((2, len(HORIZONS)), np.nan)
    scores = view.lake.day(view.table, key, ["symbol", "score"])
    return label_rank_ic(scores, view.lake.day("labels", key, ["symbol", *names]), names)


PREDICTIONS = Suite("predictions", CHECKS, measure_predictions)
