"""Suite of a portfolio's weekly weights: every constraint recomputed from the stored columns.

It shares no code with the optimiser, so that a mistake there shows here.
"""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.lake.table_view import View
from mg_assets.quality import shared_checks
from mg_assets.quality.suite import Check, Limit, Measures, Suite
from mg_assets.settings import settings
from mg_portfolio.optimization.relaxation import relaxed_text

EXACT = 1e-6
COLUMNS = pa.schema(
    [
        ("symbol", pa.string()),
        *((c, pa.float64()) for c in ("score", "benchmark", "holdings", "weight")),
        ("member", pa.bool_()),
        ("industry", pa.string()),
        ("size", pa.float64()),
        *((c, pa.bool_()) for c in ("suspended", "limit_up", "limit_down")),
    ]
)
UNKNOWN_SHARE = 0.1  # stocks new to the market lack a month's or a year's history
AGE = settings().quality.index_weights_age
STYLES = ("valuation", "reversal", "amount", "turnover", "beta")  # columns of the portfolios that limit them
NULLABLE = ("score", "industry", "size", *STYLES)

CHECKS = (
    shared_checks.SCHEMA,
    shared_checks.SYMBOLS,
    Check(
        "budget",
        "Weights sum to 1 and none is negative; the benchmark's weights sum to 1",
        (Limit("budget_gap", None, EXACT), Limit("negative_weight", None, EXACT), Limit("benchmark_gap", None, 1e-3)),
    ),
    Check(
        "stock_limit",
        "A weight is within the stock limit of the benchmark's, except where the stock cannot be traded there",
        (Limit("stock_excess", None, EXACT),),
    ),
    Check(
        "tradability",
        "Suspended stocks keep their weight, those locked at the upper limit do not gain, at the lower do not lose, "
        "and stocks under special treatment or without a score do not gain",
        (Limit("suspended_moved", None, EXACT), Limit("limit_up_bought", None, EXACT),
         Limit("limit_down_sold", None, EXACT), Limit("barred_bought", None, EXACT)),
    ),
    Check(
        "exposures",
        "Members' weight, industries, styles and turnover are within their limits, moved by what the optimiser relaxed",
        (Limit("members_excess", None, EXACT), Limit("industry_excess", None, EXACT),
         Limit("size_excess", None, EXACT), Limit("style_excess", None, EXACT), Limit("turnover_excess", None, EXACT)),
    ),
    Check(
        "solution",
        "The optimiser found weights, its own largest violation is at most 1e-6, and they trade after their decision",
        (Limit("no_solution"), Limit("largest_violation", None, EXACT), Limit("traded_early")),
    ),
    Check("relaxed", "No limit had to be relaxed", (Limit("relaxed_limits"),), blocking=False),
    Check(
        "limits_have_inputs",
        f"Every limit has its input: known of some stock, and unknown of at most {UNKNOWN_SHARE:.0%} of the stocks",
        (Limit("void_limits"), Limit("unknown_share", None, UNKNOWN_SHARE)),
        blocking=False,
    ),
    Check(
        "index_weights_age",
        f"The index's weights are at most {AGE} trading days old at the decision",
        (Limit("index_weights_age", None, AGE),),
        blocking=False,
    ),
    shared_checks.SIZE_BAND,
)  # fmt: skip


def measure_weights(view: View, measures: Measures) -> None:
    """Measures of a week's weights."""
    frame = shared_checks.read_checked(view, measures, NULLABLE, _columns(view))
    if frame is None:
        return
    shared_checks.measure_symbols(measures, frame)
    held = int((frame["weight"].to_numpy(np.float64) > EXACT).sum())
    shared_checks.measure_size_band(view, measures, len(frame), frame["symbol"].nunique())
    if not len(frame):
        return
    facts = view.metadata
    limits = facts.get("limits") or {}
    relaxed = {str(k): float(v) for k, v in (facts.get("relaxed") or {}).items()}
    _solution(measures, facts, relaxed)
    _inputs(measures, facts)
    w, b = (frame[c].to_numpy(np.float64) for c in ("weight", "benchmark"))
    symbol = frame["symbol"].to_numpy(dtype=object)
    measures.put("budget_gap", _gap(w.sum() - 1), weight_sum=w.sum(), stocks_held=held)
    measures.put("benchmark_gap", _gap(b.sum() - 1), benchmark_sum=b.sum())
    _most(measures, "negative_weight", -w, symbol, weight=w)
    barred = frame["score"].isna().to_numpy() | _special(view, facts.get("decided"), symbol)
    _tradability(measures, frame, symbol, barred, limits, relaxed)
    _exposures(measures, frame, limits, relaxed)


def _columns(view: View) -> pa.Schema:
    """Columns of a portfolio's weights: those of every one, and the styles that it has or limits."""
    limited = (view.metadata.get("limits") or {}).get("styles") or {}
    found = view.lake.table(view.table, view.key).column_names
    return pa.schema([*COLUMNS, *(pa.field(n, pa.float64()) for n in STYLES if n in found or n in limited)])


def _gap(value: float) -> float:
    """Size of a gap; a NaN must not pass for "not applicable"."""
    return abs(value) if np.isfinite(value) else np.inf


def _most(measures: Measures, name: str, excess: np.ndarray, symbol: np.ndarray, **shown: np.ndarray) -> None:
    """Set a measure to the greatest excess, at least 0, naming the stock."""
    clean = np.where(np.isnan(excess), np.inf, excess)
    measures.worst(name, np.maximum(clean, 0.0), {"symbol": symbol, **shown})
    if np.isinf(clean).any():
        measures.values[name] = np.inf


def _solution(measures: Measures, facts: dict, relaxed: dict[str, float]) -> None:
    status = facts.get("status")
    measures.put("no_solution", float(status not in ("optimal", "relaxed")), status=str(status))
    violation = facts.get("largest_violation")
    if violation is not None:
        measures.put("largest_violation", _gap(float(violation)))
    used = {k: v for k, v in relaxed.items() if v > EXACT}
    shown = relaxed_text(used)
    measures.put("relaxed_limits", len(used), **({"relaxed": shown} if used else {}))
    decided, traded = _date(facts.get("decided")), _date(facts.get("traded"))
    if decided is not None and traded is not None:
        measures.put("traded_early", float(traded <= decided), decided=decided, traded=traded)


def _inputs(measures: Measures, facts: dict) -> None:
    """Limits without their input, and the age of the index's weights, as the decision stated them."""
    unknown = {str(name): (int(u["stocks"]), int(u["of"])) for name, u in (facts.get("unknown_inputs") or {}).items()}
    void = [name for name, (stocks, of) in unknown.items() if stocks == of]
    measures.put(
        "void_limits", len(void), **({"limits": ", ".join(void), "stocks": unknown[void[0]][0]} if void else {})
    )
    partly = {name: stocks / of for name, (stocks, of) in unknown.items() if stocks < of}
    if partly:
        most = max(partly, key=lambda name: partly[name])
        measures.put("unknown_share", partly[most], limit=most, stocks=unknown[most][0], of=unknown[most][1])
    weights = facts.get("index_weights")
    if weights:
        measures.put("index_weights_age", weights["age"], of=weights["of"])
    elif weights is not None:
        measures.notes.append("the source does not say of which date the index's weights are")


def _date(value: object) -> dt.date | None:
    return pd.Timestamp(str(value)).date() if value else None


def _special(view: View, decided: object, symbol: np.ndarray) -> np.ndarray:
    """Stocks under special treatment on the day of the decision; none where the lake has no reference of it."""
    if not decided or not view.lake.has("reference", str(decided)):
        return np.zeros(len(symbol), bool)
    st = view.lake.day("reference", str(decided), ["symbol", "st"]).set_index("symbol")["st"]
    return st.reindex(symbol).fillna(False).to_numpy(bool)


def _tradability(
    measures: Measures,
    frame: pd.DataFrame,
    symbol: np.ndarray,
    barred: np.ndarray,
    limits: dict,
    relaxed: dict[str, float],
) -> None:
    w, b, w0 = (frame[c].to_numpy(np.float64) for c in ("weight", "benchmark", "holdings"))
    halted, up, down = (frame[c].to_numpy(bool) for c in ("suspended", "limit_up", "limit_down"))
    up, down, barred = up & ~halted, down & ~halted, barred & ~halted
    shown = {"weight": w, "holdings": w0, "benchmark": b}
    _most(measures, "suspended_moved", np.where(halted, np.abs(w - w0), 0.0), symbol, **shown)
    _most(measures, "limit_up_bought", np.where(up, w - w0, 0.0), symbol, **shown)
    _most(measures, "limit_down_sold", np.where(down, w0 - w, 0.0), symbol, **shown)
    _most(measures, "barred_bought", np.where(barred, w - w0, 0.0), symbol, **shown)
    band = limits.get("stock")
    if band is None:
        return
    # tradability wins: a locked stock outside the band cannot come back into it
    tied = halted | ((up | barred) & (w0 < b - band)) | (down & (w0 > b + band))
    excess = np.abs(w - b) - band - relaxed.get("stock_limit", relaxed.get("stock", 0.0))
    _most(measures, "stock_excess", np.where(tied, 0.0, excess), symbol, **shown)


def _exposures(measures: Measures, frame: pd.DataFrame, limits: dict, relaxed: dict[str, float]) -> None:
    w, b, w0 = (frame[c].to_numpy(np.float64) for c in ("weight", "benchmark", "holdings"))
    active = w - b
    if limits.get("members") is not None:
        share = w[frame["member"].to_numpy(bool)].sum()
        short = limits["members"] - share - relaxed.get("members", 0.0)
        measures.put("members_excess", _over(short), members_weight=share, floor=limits["members"])
    if limits.get("industry") is not None:
        names = frame["industry"].fillna("unknown").to_numpy(dtype=object)
        labels, code = np.unique(names.astype(str), return_inverse=True)
        moved = np.array([relaxed.get(f"industry[{n}]", 0.0) for n in labels])
        exposure = np.bincount(code, weights=active, minlength=len(labels))
        _most(measures, "industry_excess", np.abs(exposure) - limits["industry"] - moved, labels, active=exposure)
    if limits.get("size") is not None:
        size = np.nan_to_num(frame["size"].to_numpy(np.float64))  # the optimiser counts an unknown exposure as average
        tilt = float(active @ size)
        allowed = limits["size"] + relaxed.get("style[size]", relaxed.get("size", 0.0))
        measures.put("size_excess", _over(abs(tilt) - allowed), exposure=tilt, limit=limits["size"])
    tilts = {n: (float(active @ np.nan_to_num(frame[n].to_numpy(np.float64))), v)
             for n, v in (limits.get("styles") or {}).items() if v is not None}  # fmt: skip
    if tilts:
        over = [abs(tilt) - limit - relaxed.get(f"style[{n}]", 0.0) for n, (tilt, limit) in tilts.items()]
        _most(measures, "style_excess", np.array(over), np.array(list(tilts), dtype=object),
              exposure=np.array([tilt for tilt, _ in tilts.values()]))  # fmt: skip
    if limits.get("turnover") is not None:
        traded = 0.5 * np.abs(w - w0).sum()
        allowed = limits["turnover"] + relaxed.get("turnover", 0.0)
        measures.put("turnover_excess", _over(traded - allowed), turnover=traded, limit=limits["turnover"])


def _over(excess: float) -> float:
    return max(excess, 0.0) if np.isfinite(excess) else np.inf


WEIGHTS = Suite("weights", CHECKS, measure_weights)
