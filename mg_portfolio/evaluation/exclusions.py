"""Exclusions report of an evaluation: counts and reasons by day, stock and factor, and the skipped rebalances."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.evaluation.quantile_portfolios import SKIP_REASONS
from mg_portfolio.evaluation.result import Evaluation
from mg_portfolio.evaluation.tradable_universe import EXCLUSION_REASONS

EXCLUSION_COLUMNS = {
    "scope": "day, stock, factor or rebalance: what the count is of",
    "case": "universe, rebalance and execution",
    "name": "factor or signal; empty for day and stock, which are of the universe alone",
    "date": "day; empty for stock and factor",
    "symbol": "stock; empty for the others",
    "reason": "why it was excluded",
    "count": "day: stocks; stock: days; factor: stock-days; rebalance: tracks that skipped it",
}


def universe_exclusions(
    reasons: np.ndarray, days: np.ndarray, symbols: np.ndarray, listed: np.ndarray, case: str = ""
) -> pd.DataFrame:
    """Stocks excluded from a universe, counted by day and by stock; those not listed are not counted.

    Parameters
    ----------
    reasons : ndarray of uint8 (D, S)
        From `mg_portfolio.evaluation.tradable_universe.exclusion_codes`.
    days : ndarray of datetime64[D] (D,)
    symbols : ndarray of str (S,)
    listed : ndarray of bool (D, S)
    case : str
        Name of the case, for the column of that name.

    Returns
    -------
    DataFrame
        Columns `EXCLUSION_COLUMNS`. The counts of the days and of the stocks add up to the same number for each reason.

    Raises
    ------
    EvaluationError
        Arrays of different shapes.
    """
    if reasons.shape != (len(days), len(symbols)) or listed.shape != reasons.shape:
        raise EvaluationError(
            f"reasons had shape {reasons.shape} and listed {listed.shape}, expected {(len(days), len(symbols))}"
        )
    parts = []
    for code, reason in enumerate(EXCLUSION_REASONS):
        if code == 0 or reason == "not listed":
            continue
        here = (reasons == code) & listed
        for scope, counts in (("day", here.sum(axis=1)), ("stock", here.sum(axis=0))):
            at = np.flatnonzero(counts)
            parts.append(
                _rows(
                    len(at),
                    scope=scope,
                    case=case,
                    date=days[at] if scope == "day" else None,
                    symbol=np.asarray(symbols, object)[at] if scope == "stock" else None,
                    reason=reason,
                    count=counts[at],
                )
            )
    return _joined(parts)


def factor_exclusions(
    found: Mapping[str, Evaluation], case: str = "", absent: Iterable[tuple[str, str, int]] = ()
) -> pd.DataFrame:
    """Exclusions of the evaluations of many signals.

    Parameters
    ----------
    found : mapping of str to Evaluation
    case : str
        Name of the case, for the column of that name.
    absent : iterable of (str, str, int)
        Signals that were not evaluated at all: name, reason, and a count that belongs to the reason.

    Returns
    -------
    DataFrame
        Columns `EXCLUSION_COLUMNS`: a row a signal and reason with its stock-days, and a row a signal, day and reason
        of a skipped rebalance with the tracks that skipped it.
    """
    rows: dict[str, list] = {c: [] for c in ("scope", "name", "date", "reason", "count")}

    def add(scope: str, name: str, date: np.datetime64, reason: str, count: int) -> None:
        for column, value in zip(rows, (scope, name, date, reason, count), strict=True):
            rows[column].append(value)

    for name, result in found.items():
        for reason, count in result.excluded.items():
            if count:
                add("factor", name, np.datetime64("NaT", "D"), reason, count)
        held = result.portfolios
        skipped = Counter(
            (int(held.decided[k][r]), SKIP_REASONS[held.reason[k][r]])
            for k in range(len(result.tracks))
            for r in np.flatnonzero(held.reason[k])
        )
        for (d, reason), count in sorted(skipped.items()):
            add("rebalance", name, result.days[d], reason, count)
    for name, reason, count in absent:
        add("factor", name, np.datetime64("NaT", "D"), reason, count)
    length = len(rows["count"])
    return _joined([_rows(length, case=case, **{**rows, "date": np.array(rows["date"], "datetime64[D]")})])


def _rows(length: int, **values: object) -> pd.DataFrame:
    filled = {name: values.get(name) for name in EXCLUSION_COLUMNS}
    for name in ("case", "name", "symbol"):
        filled[name] = "" if filled[name] is None else filled[name]
    filled["date"] = np.datetime64("NaT", "D") if filled["date"] is None else filled["date"]
    return pd.DataFrame(filled, index=range(length))


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    parts = [p for p in parts if len(p)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(EXCLUSION_COLUMNS))
    kinds = {name: "str" for name in ("scope", "case", "name", "symbol", "reason")}
    return table.astype({**kinds, "count": "int64", "date": "datetime64[s]"})
