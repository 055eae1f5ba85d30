"""Suite of a model's or signal's daily scores."""

from functools import partial

import numpy as np

from mg_assets import certificates
from mg_assets.quality import common
from mg_assets.quality.factors import HORIZONS
from mg_assets.quality.suite import EXAMPLES, Check, Limit, Measures, Suite
from mg_assets.quality.view import View, sound

LOOK_BACK = 20
ENOUGH = 5
IMPLAUSIBLE = 0.3  # no published A-share signal has half of this as its mean RankIC
SECTION = 20  # stocks
SCORED_SHARE = 0.5
DEEP_EVERY = 40  # of a run's partitions, the first and each fortieth are made again from what was known then

CHECKS = (
    common.SCHEMA,
    common.UNIQUE,
    Check(
        "values",
        "No infinite score, scores for at least half of the rows, not all of them equal",
        (Limit("infinite"), Limit("finite_share", SCORED_SHARE, None), Limit("constant")),
    ),
    Check(
        "leakage",
        "The mean RankIC with the labels of the last 20 scored days, of any horizon, is below 0.3 in size",
        (Limit("rank_ic_mean", None, IMPLAUSIBLE),),
    ),
    Check(
        "certificate",
        "The leakage certificate is borne out by calendar and lake: no input later than the day, the last labels known "
        "before the model's half-year (training's before validation), the weights and scores those that are certified",
        tuple(map(Limit, ("uncertified", "late_inputs", "late_labels", "other_model", "other_scores"))),
    ),
    Check(
        "made_again",
        "Made once more from the lake as it was at the day's close, inputs and scores are the same (a run's first day "
        f"and each {DEEP_EVERY}th; fusions every day)",
        (Limit("changed_inputs"), Limit("score_difference", None, 1.0)),
    ),
    common.BAND,
)


def measure_predictions(view: View, measures: Measures) -> None:
    """Measures of a day's scores."""
    frame = common.table(view, measures, ("score",), common.floats(("score",)))
    if frame is None:
        return
    common.symbols(measures, frame)
    score = frame["score"].to_numpy(np.float64)
    symbol = frame["symbol"].to_numpy(dtype=object)
    measures.rows("infinite", np.isinf(score), symbol=symbol)
    finite = score[np.isfinite(score)]
    if len(frame):
        measures.put("finite_share", len(finite) / len(frame), finite=len(finite), rows=len(frame))
    if len(finite) >= 2:
        measures.put("constant", float(np.ptp(finite) <= 1e-12 * np.abs(finite).max()), score=finite[0])
    _leakage(view, measures)
    _certificate(view, measures)
    common.band(view, measures, len(frame), frame["symbol"].nunique())


def _certificate(view: View, measures: Measures) -> None:
    """The findings of :func:`mg_assets.certificates.verify`."""
    looked = view.chunk.cached(("certificates",), lambda: {"count": 0})
    deep = looked["count"] % DEEP_EVERY == 0
    found = list(certificates.verify(view.lake, view.table, view.key, deep))
    if not found:
        measures.notes.append("certificate: a day without scores, or not made by the graph")
        return
    looked["count"] += 1
    for finding in found:
        measures.put(finding.measure, finding.value)
        measures.examples[finding.measure] = finding.observed[:EXAMPLES]


def _leakage(view: View, measures: Measures) -> None:
    """Mean RankIC of the last scored days whose labels are known, this one among them."""
    labelled = set(view.chunk.keys("labels"))
    if not labelled:
        measures.notes.append("leakage: no labels in the lake")
        return
    # the exit of the longest label is 21 sessions away: the last 20 known of 41 days
    keys = [k for k in [*view.chunk.before(view.key, LOOK_BACK + max(HORIZONS)), view.key] if k in labelled]
    daily = [view.chunk.cached(("rank_ic", k), partial(_rank_ic, view, k)) for k in keys]
    if not daily:
        return
    table = np.array(daily)  # (days, horizons)
    means = np.full(len(HORIZONS), np.nan)
    for h in range(len(HORIZONS)):
        known = table[np.isfinite(table[:, h]), h][-LOOK_BACK:]
        if len(known) >= ENOUGH:
            means[h] = abs(known.mean())
    measures.worst("rank_ic_mean", means, {"label": np.array([f"ret_{h}" for h in HORIZONS], object)})


def _rank_ic(view: View, key: str) -> np.ndarray:
    """RankIC of a day's scores with each label; NaN where fewer than 20 stocks have both."""
    names = [f"ret_{h}" for h in HORIZONS]
    if not (
        sound(view.lake, view.table, key, common.floats(("score",)))
        and sound(view.lake, "labels", key, common.floats(names))
    ):
        return np.full(len(HORIZONS), np.nan)
    scores = view.lake.day(view.table, key, ["symbol", "score"]).set_index("symbol")["score"]
    scores = scores[~scores.index.duplicated()]
    known = view.lake.day("labels", key, ["symbol", *names]).set_index("symbol")
    both = known[~known.index.duplicated()].join(scores.replace([np.inf, -np.inf], np.nan), how="inner")
    out = np.full(len(HORIZONS), np.nan)
    for h, name in enumerate(names):
        pair = both[["score", name]].dropna()
        if len(pair) >= SECTION:
            a, b = (pair[c].rank().to_numpy() for c in pair.columns)
            if a.std() > 0 and b.std() > 0:
                out[h] = np.corrcoef(a, b)[0, 1]
    return out


PREDICTIONS = Suite("predictions", CHECKS, measure_predictions)
