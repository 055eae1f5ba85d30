"""Suites of the reference table and of the simulated market's planted signal."""

import numpy as np
import pandas as pd

from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import View, fits_schema
from mg_assets.market.schema import INDICES, REFERENCE
from mg_assets.quality import shared_checks
from mg_assets.quality.suite import Check, Limit, Measures, Suite

WEIGHT_SUM = 1e-3  # vendors round weights to 0.001%
OUTSIDE_WEIGHT = 0.01  # lists and weights of different vendors: 0.12% at most in eleven years of CSI 300
DISJOINT = (("csi300", "csi500"), ("csi300", "csi1000"), ("csi500", "csi1000"))

ODD_STOCKS = ("not_listed", "delisted", "bad_factor", "bad_shares", "bad_prev_close", "limits_crossed",
              "in_two_indices")  # fmt: skip
MEMBERS = 300  # of the smallest index

REFERENCE_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "listing",
        f"Stocks are listed and not yet delisted on the day, but for one or {shared_checks.ODD_SHARE:.0%} of them",
        shared_checks.share_limits("not_listed", "delisted"),
    ),
    Check(
        "attributes",
        "Adjustment factor, float shares and reference price above 0, limits around the reference price, but for one "
        f"stock or {shared_checks.ODD_SHARE:.0%} of them",
        shared_checks.share_limits("bad_factor", "bad_shares", "bad_prev_close", "limits_crossed"),
    ),
    Check(
        "odd_stocks",
        "No stock at all is beyond its listing, or has an attribute that cannot be",
        tuple(map(Limit, ODD_STOCKS)),
        blocking=False,
    ),
    Check(
        "index_weights",
        f"Known weights of an index lie in [0, 1] and sum to 1 within 0.1%, at most {OUTSIDE_WEIGHT:.0%} outside",
        (
            Limit("weight_sum_gap", None, WEIGHT_SUM),
            Limit("weight_range"),
            Limit("outside_weight", None, OUTSIDE_WEIGHT),
        ),
    ),
    Check(
        "weights_of_members",
        "Only members of an index have a weight in it; lists and weights of different vendors disagree for a few days",
        (Limit("weight_of_outsider"),),
        blocking=False,
    ),
    Check(
        "membership",
        "No stock is in two of CSI 300, CSI 500 and CSI 1000, but for one or "
        f"{shared_checks.ODD_SHARE:.0%} of the smallest",
        shared_checks.share_limits("in_two_indices"),
    ),
    Check(
        "members_band",
        "An index's number of members is within 10% of the median of the last 20 days",
        (Limit("members_ratio_low", 0.9, None), Limit("members_ratio_high", None, 1.1)),
        blocking=False,
    ),
    shared_checks.SIZE_BAND,
    shared_checks.QUARANTINE_SHARE,
)
REQUIRED = ("symbol",)


def measure_reference(view: View, measures: Measures) -> None:
    """Measures of a day's reference rows."""
    frame = shared_checks.read_checked(view, measures, [c for c in REFERENCE.names if c not in REQUIRED])
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    symbol = frame["symbol"].to_numpy(dtype=object)
    day = pd.Timestamp(view.day)
    listed, gone = pd.to_datetime(frame["list_date"]), pd.to_datetime(frame["delist_date"])
    measures.rows("not_listed", (listed > day).to_numpy(), symbol=symbol, list_date=listed)
    measures.rows("delisted", (gone <= day).to_numpy(), symbol=symbol, delist_date=gone)
    factor, shares, before = (frame[c].to_numpy(np.float64) for c in ("adj_factor", "float_shares", "prev_close"))
    measures.rows("bad_factor", factor <= 0, symbol=symbol, adj_factor=factor)
    measures.rows("bad_shares", shares <= 0, symbol=symbol, float_shares=shares)
    measures.rows("bad_prev_close", before <= 0, symbol=symbol, prev_close=before)
    shared_checks.measure_crossed_limits(measures, frame)
    _indices(measures, frame, symbol)
    shared_checks.measure_shares(measures, ODD_STOCKS[:-1], len(frame))
    shared_checks.measure_shares(measures, ODD_STOCKS[-1:], min(MEMBERS, len(frame)))
    counts = {i: int(frame[f"{i}_member"].fillna(False).sum()) for i in INDICES}
    view.run.cached(("members", view.key), lambda: counts)
    _members_band(view, measures, counts)
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())
    shared_checks.measure_quarantine_share(view, measures, len(frame))


def _indices(measures: Measures, frame: pd.DataFrame, symbol: np.ndarray) -> None:
    member = {i: frame[f"{i}_member"].fillna(False).to_numpy(bool) for i in INDICES}
    for name in ("weight_range", "weight_of_outsider", "in_two_indices"):
        measures.add(name, 0)
    for index in INDICES:
        weight = frame[f"{index}_weight"].to_numpy(np.float64)
        label = np.full(len(symbol), index, object)
        shown = {"symbol": symbol, "index": label, "weight": weight}
        measures.rows("weight_range", (weight < 0) | (weight > 1), **shown)
        measures.rows("weight_of_outsider", (weight > 0) & ~member[index], **shown)
        if member[index].any() and np.nansum(weight) > 0:
            measures.put_greatest("outside_weight", np.nansum(weight[~member[index]]), index=index)
            gap = abs(np.nansum(weight) - 1)
            measures.put_greatest("weight_sum_gap", gap, index=index, weight_sum=np.nansum(weight))
    for one, other in DISJOINT:
        both = member[one] & member[other]
        measures.rows("in_two_indices", both, symbol=symbol, indices=np.full(len(symbol), f"{one}, {other}", object))


def _members(lake: Lake, table: str, key: str) -> dict[str, int]:
    if not fits_schema(lake, table, key):
        return dict.fromkeys(INDICES, 0)
    part = lake.table(table, key, [f"{i}_member" for i in INDICES])
    return {i: sum(1 for v in part[f"{i}_member"].to_pylist() if v) for i in INDICES}


def _members_band(view: View, measures: Measures, counts: dict[str, int]) -> None:
    past = view.trailing(shared_checks.TRAILING, _members, "members")
    if len(past) < shared_checks.ENOUGH:
        return
    for index, now in counts.items():
        was = np.median([p[index] for p in past])
        if was > 0:
            ratio = now / was
            if not measures.values.get("members_ratio_low", np.inf) <= ratio:
                measures.put("members_ratio_low", ratio, index=index, now=now, median_of_past=was)
            measures.put_greatest("members_ratio_high", ratio, index=index, now=now, median_of_past=was)


PLANTED_CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "values",
        "The signal is finite, and a z-score: mean within 0.5 of 0, deviation from 0.3 to 3 (0 where none is planted)",
        (Limit("not_finite"), Limit("mean_gap", None, 0.5), Limit("deviation", 0.3, 3.0)),
    ),
    shared_checks.SIZE_BAND,
)


def measure_planted(view: View, measures: Measures) -> None:
    """Measures of a day's planted signal."""
    frame = shared_checks.read_checked(view, measures, ("signal",))
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    signal = frame["signal"].to_numpy(np.float64)
    measures.rows("not_finite", ~np.isfinite(signal), symbol=frame["symbol"].to_numpy(), signal=signal)
    if len(signal) >= 30 and np.any(signal != 0):
        measures.put("mean_gap", abs(np.nanmean(signal)))
        measures.put("deviation", np.nanstd(signal))
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())


REFERENCE_SUITE = Suite("reference", REFERENCE_CHECKS, measure_reference)
PLANTED_SIGNAL = Suite("planted_signal", PLANTED_CHECKS, measure_planted)
