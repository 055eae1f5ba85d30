"""Metrics of one track, under the names of the published tables, from its daily NAVs and correlations."""

from dataclasses import dataclass

import numpy as np

from mg_portfolio.evaluation.quantile_portfolios import Tracks
from mg_portfolio.metrics import DAYS_PER_YEAR, max_drawdown

MIN_STOCKS_FOR_TOP100 = 200  # with fewer stocks the top 100 are more than half of all, and no selection


@dataclass(frozen=True)
class Period:
    """Days over which the metrics of a track are computed.

    Attributes
    ----------
    decided : ndarray of bool (D,)
        Correlations and rebalances count by the day of the decision.
    held : ndarray of bool (D,)
        Returns count by their own day.
    annual : bool
        Annualise returns; a calendar year's are its own.
    bought : bool
        The first decision buys what is held: its turnover does not count, as in a track that starts there.
    """

    decided: np.ndarray
    held: np.ndarray
    annual: bool = True
    bought: bool = False

    @classmethod
    def whole(cls, days: np.ndarray) -> "Period":
        """All days."""
        every = np.ones(len(days), bool)
        return cls(every, every)

    @classmethod
    def year(cls, days: np.ndarray, year: np.datetime64) -> "Period":
        """One calendar year."""
        inside = days.astype("datetime64[Y]") == year
        return cls(inside, inside, annual=False)

    @classmethod
    def between(
        cls, days: np.ndarray, first: np.datetime64, last: np.datetime64, schedule: np.ndarray, delay: int
    ) -> "Period":
        """From a track's first decision in the period to the period's end, as if the track started with it."""
        decided = (days >= first) & (days <= last)
        held, scheduled = decided.copy(), np.flatnonzero(decided & schedule)
        held[: (int(scheduled[0]) + delay + 1) if len(scheduled) else len(days)] = False
        return cls(decided, held, bought=True)


def track_metrics(
    daily: np.ndarray,
    held: Tracks,
    k: int,
    schedule: np.ndarray,
    days: np.ndarray,
    every: int,
    period: Period,
) -> dict[str, float]:
    """Metrics of one track over a period.

    Parameters
    ----------
    daily : ndarray of float64 (D, 7)
        From `mg_portfolio.evaluation.rank_ic.daily_statistics`.
    held : Tracks
    k : int
        The track.
    schedule : ndarray of bool (D,)
        Its decision days.
    days : ndarray of datetime64[D] (D,)
    every : int
    period : Period

    Returns
    -------
    dict of str to float
        Metrics by their published names; fractions, NaN where not meaningful.
    """
    counted = daily[schedule & period.decided]
    inside = period.decided[held.decided[k]]
    made = (held.reason[k] == 0) & inside
    traded = made.copy()
    if period.bought:
        traded[np.flatnonzero(made)[:1]] = False
    out = {"stocks_mean": finite_mean(held.stocks[k][made, 2].astype(np.float64))}
    for column, mean_name, ratio_name in (
        (1, "rank_ic_mean", "rank_icir"),
        (2, "ic_mean", "icir"),
        (3, "weighted_rank_ic_mean", "weighted_rank_icir"),
        (4, "weighted_ic_mean", "weighted_icir"),
    ):
        values = counted[:, column]
        out[mean_name] = finite_mean(values)
        out[ratio_name] = _ratio(out[mean_name], _std(values))
    rank_ic = counted[np.isfinite(counted[:, 1]), 1]
    out["rank_ic_std"] = _std(rank_ic)
    out["rank_ic_ir"] = out["rank_icir"]
    out["rank_icir_annual"] = out["rank_icir"] * np.sqrt(DAYS_PER_YEAR / every)
    out["rank_ic_positive_ratio"] = finite_mean(np.where(rank_ic > 0, 1.0, 0.0))
    out["top_precision"], out["bottom_precision"] = finite_mean(counted[:, 5]), finite_mean(counted[:, 6])

    out["rebalances"], out["skipped_rebalances"] = float(made.sum()), float((inside & ~made).sum())
    out["top_turnover_two_way"] = finite_mean(held.turnover[k][traded, 0])
    span = _span(held.gross[k, held.index("universe")], period.held)
    base = held.gross[k, held.index("universe")]
    enough = bool(made.any()) and float(np.median(held.stocks[k][made, 2])) >= MIN_STOCKS_FOR_TOP100
    bottom = held.names[held.index("top10pct") - 1]

    def growth(nav: np.ndarray, annual: bool = True) -> float:
        bought = nav[np.isfinite(nav)][:1] if period.bought else np.ones(1)  # after the cost of the first purchase
        return _growth(nav, span, annual and period.annual, float(bought[0]) if len(bought) else np.nan)

    def excess(name: str, net: bool = False) -> float:
        return growth((held.net if net else held.gross)[k, held.index(name)] / base)

    out["top_annual"] = growth(held.gross[k, 0])
    out["bottom_annual"] = growth(held.gross[k, held.index(bottom)])
    out["benchmark_annual"] = growth(base)
    out["top_excess_annual"] = excess("layer1")
    out["bottom_excess_annual"] = excess(bottom)
    relative = held.gross[k, 0] / base
    out["top_tracking_error"] = _volatility(relative, span)
    out["top_information_ratio"] = _ratio(_growth(relative, span, True), out["top_tracking_error"])
    out["top_monthly_win_rate"] = _monthly_win_rate(relative, days, span)
    for name in ("top10pct", "top100"):
        meaningful = name == "top10pct" or enough
        out[f"{name}_excess_gross"] = excess(name) if meaningful else np.nan
        out[f"{name}_excess_net"] = excess(name, net=True) if meaningful else np.nan
        out[f"{name}_turnover_two_way"] = (
            finite_mean(held.turnover[k][traded, held.index(name)]) if meaningful else np.nan
        )
    hedged = long_short_nav(held, k)
    out["long_short_annual"] = growth(hedged)
    # Series 69 puts half the money on each side: its table 10 prints (26.0% + 31.5%) / 2 = 28.7%
    out["long_short_hedged_annual"] = (out["top_annual"] - out["bottom_annual"]) / 2
    out["long_short_volatility"] = _volatility(hedged, span)
    out["long_short_sharpe"] = _ratio(_growth(hedged, span, True), out["long_short_volatility"])
    out["long_short_max_drawdown"] = _drawdown(hedged, span)
    return out


def _span(nav: np.ndarray, in_period: np.ndarray) -> tuple[int, int]:
    """First and last day of the returns of a period: the day before it (or the first purchase) and its last day."""
    held = np.flatnonzero(np.isfinite(nav))
    inside = held[in_period[held]] if held.size else held
    if not inside.size:
        return (0, 0)
    return max(int(inside[0]) - 1, int(held[0])), int(inside[-1])


def _growth(nav: np.ndarray, span: tuple[int, int], annual: bool, bought: float = 1.0) -> float:
    """Return over the span. A track's own start counts from 1.0, so that the first purchase's cost is in the net."""
    first, last = span
    if last <= first:
        return np.nan
    started = first == 0 or np.isnan(nav[first - 1])
    # A period that starts later as if the track did: ``bought`` is the NAV after a first purchase
    total = nav[last] / (1.0 if started else nav[first] / bought)
    return float(total ** (DAYS_PER_YEAR / (last - first)) - 1.0) if annual else float(total - 1.0)


def _volatility(nav: np.ndarray, span: tuple[int, int]) -> float:
    return _std(daily_returns(nav[span[0] : span[1] + 1])) * np.sqrt(DAYS_PER_YEAR)


def _drawdown(nav: np.ndarray, span: tuple[int, int]) -> float:
    return max_drawdown(nav[span[0] : span[1] + 1]) if span[1] > span[0] else np.nan


def _monthly_win_rate(relative: np.ndarray, days: np.ndarray, span: tuple[int, int]) -> float:
    first, last = span
    if last <= first:
        return np.nan
    month = days[first + 1 : last + 1].astype("datetime64[M]")
    ends = np.flatnonzero(np.append(month[1:] != month[:-1], True)) + first + 1
    levels = relative[np.append(first, ends)]
    return float(np.mean(levels[1:] > levels[:-1]))


def long_short_nav(held: Tracks, k: int) -> np.ndarray:
    """Top tenth minus bottom tenth of one track, daily compounded; 1.0 on the day of the first purchase."""
    top, bottom = (held.gross[k, held.index(name)] for name in ("top10pct", "bottom10pct"))
    spread = daily_returns(top) - daily_returns(bottom)
    nav = np.cumprod(1.0 + np.where(np.isfinite(spread), spread, 0.0))
    nav[np.isnan(top)] = np.nan
    return nav


def daily_returns(nav: np.ndarray) -> np.ndarray:
    """``nav_t / nav_{t-1} - 1`` of shape ``(D,)``; NaN on the first day and where either NAV is."""
    out = np.full(len(nav), np.nan)
    out[1:] = nav[1:] / nav[:-1] - 1.0
    return out


def finite_means(values: np.ndarray) -> np.ndarray:
    """Mean of the finite entries over the first axis; NaN where there is none."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    total = np.where(finite, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_metrics(tracks: list[dict[str, float]]) -> dict[str, float]:
    """Each metric's mean over the tracks that have it."""
    return {name: finite_mean(np.array([track[name] for track in tracks])) for name in tracks[0]}


def finite_mean(values: np.ndarray) -> float:
    """Mean of the finite entries; NaN where there is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else np.nan


def _std(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1)) if values.size > 1 else np.nan


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 1e-15 else np.nan
