"""How good a signal is: rank correlations, layers, tracks, long-short, by year.

A result is the mean over tracks, one for each day of the rebalance cycle on which one could have started. Correlations
are computed once for every day and read at each track's own days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_portfolio.arguments import EvaluationError, ascending_days, dense, flags
from mg_portfolio.layers import MIN_STOCKS, REASONS, Tracks, forward_returns, simulate_tracks
from mg_portfolio.orthogonal import orthogonalise
from mg_portfolio.ranks import correlations, daily_statistics, rank_ic_by_day, rank_rows
from mg_portfolio.universe import days_listed, period_schedule, track_schedule, universe

__all__ = [
    "Evaluation",
    "LongShort",
    "correlations",
    "days_listed",
    "evaluate",
    "forward_returns",
    "ic_decay",
    "long_short",
    "orthogonalise",
    "period_schedule",
    "rank_ic_by_day",
    "rank_rows",
    "universe",
]

YEAR = 252
TOP_COUNT_NEEDS = 200  # with fewer stocks the top 100 are half of all, and no selection


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found about one signal.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    every, groups, direction : int
    tracks : tuple of int (T,)
        Starting offsets.
    rank_ic, ic, weighted_rank_ic, weighted_ic : ndarray of float64 (D,)
        Correlation of that day's signal with the return that follows; NaN where it has none.
    top_precision, bottom_precision : ndarray of float64 (D,)
    stocks : ndarray of int (D,)
        Stocks behind the day's correlation.
    portfolios : Tracks
        Daily NAVs, turnover and rebalances of every portfolio on every track.
    summary : dict of str to float
        Metric (named as in the published tables) to its mean over tracks; fractions. NaN where not meaningful.
    by_track : DataFrame
        Index track, columns the metrics.
    by_year : DataFrame
        Index calendar year, columns the metrics, mean over tracks. Returns are the year's own, not annualised.
    ledger : DataFrame
        One row a skipped rebalance: date, track, in_universe, with_signal, with_price, reason.
    flat_days : int
        Days with enough stocks and no RankIC, because the signal or the returns do not vary.
    """

    days: np.ndarray
    every: int
    groups: int
    direction: int
    tracks: tuple[int, ...]
    rank_ic: np.ndarray
    ic: np.ndarray
    weighted_rank_ic: np.ndarray
    weighted_ic: np.ndarray
    top_precision: np.ndarray
    bottom_precision: np.ndarray
    stocks: np.ndarray
    portfolios: Tracks
    summary: dict[str, float]
    by_track: pd.DataFrame
    by_year: pd.DataFrame
    ledger: pd.DataFrame
    flat_days: int

    @property
    def skipped(self) -> dict[str, int]:
        """Skipped rebalances by reason, over all tracks."""
        return {str(reason): int(count) for reason, count in self.ledger["reason"].value_counts().items()}

    def nav(self, name: str, net: bool = False) -> np.ndarray:
        """Daily NAV ``(D,)`` of a portfolio, mean over tracks; NaN before the first track holds it."""
        p = self.portfolios.index(name)
        return _mean_over_tracks((self.portfolios.net if net else self.portfolios.gross)[:, p])

    def relative_nav(self, name: str, net: bool = False) -> np.ndarray:
        """Daily NAV ``(D,)`` of a portfolio relative to the equal-weight universe, mean over tracks."""
        p, u = self.portfolios.index(name), self.portfolios.index("universe")
        values = self.portfolios.net if net else self.portfolios.gross
        return _mean_over_tracks(values[:, p] / self.portfolios.gross[:, u])

    @property
    def layer_nav(self) -> np.ndarray:
        """Relative NAV of the layers ``(G, D)``, the highest signal first, mean over tracks."""
        return np.stack([self.relative_nav(f"layer{g + 1}") for g in range(self.groups)])

    @property
    def long_short_nav(self) -> np.ndarray:
        """Top tenth minus bottom tenth, daily compounded ``(D,)``, mean over tracks."""
        return _mean_over_tracks(np.stack([_long_short_nav(self.portfolios, k) for k in range(len(self.tracks))]))


@dataclass(frozen=True)
class LongShort:
    """Daily returns of the top tenth against the bottom tenth and against the universe.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    long_short : ndarray of float64 (D,)
        Top tenth's return minus bottom tenth's, fractions; NaN before the first purchase has been held a day.
    long_excess : ndarray of float64 (D,)
        Top tenth's return relative to the equal-weight universe: ``(1 + top) / (1 + universe) - 1``.
    rebalances, skipped : int
    """

    days: np.ndarray
    long_short: np.ndarray
    long_excess: np.ndarray
    rebalances: int
    skipped: int


def evaluate(
    signal: np.ndarray,
    price: np.ndarray,
    tradable: np.ndarray,
    days: np.ndarray,
    direction: int = 1,
    every: int = 5,
    groups: int = 10,
    tracks: int | Iterable[int] | None = None,
    delay: int = 1,
    cost: float = 0.003,
    min_stocks: int = MIN_STOCKS,
) -> Evaluation:
    """Judge a signal by the returns that follow it.

    Parameters
    ----------
    signal : ndarray of float (D, S)
        Known at the close of each day. A stock without a finite value is not in that day's universe.
    price : ndarray of float (D, S)
        Adjusted execution prices, yuan (T+1 vwap by default); NaN where the stock did not trade.
    tradable : ndarray of bool (D, S)
        The universe, from `universe`.
    days : ndarray of datetime64[D] (D,)
    direction : {1, -1}
        Multiplies the signal.
    every : int
        Trading days between rebalances: 5 weekly, 10 biweekly.
    groups : int
        Layers: 5 for single factors, 10 for model signals.
    tracks : int or iterable of int, optional
        Starting offsets; all ``every`` of them by default.
    delay : int
        Trading days from the decision to its execution; 0 for T's close.
    cost : float
        Two-sided cost of the net results.
    min_stocks : int
        A rebalance or correlation with fewer stocks is skipped and entered in the ledger.

    Returns
    -------
    Evaluation

    Raises
    ------
    EvaluationError
        Panels of different shapes, days out of order, or a direction other than 1 or -1.

    Notes
    -----
    Source: Huatai 2023-12-08 (charts 7, 26, 37, 45, 52, 57), Huatai 2023-08-22 (chart 10: weighted correlations,
    precision), Haitong 2023 series 88 (tables 3 to 5: tracks, Top 10% and Top 100, costs).
    """
    if direction not in (1, -1):
        raise EvaluationError(f"direction was {direction!r}, expected 1 or -1")
    signal = dense("signal", signal) * direction
    price = dense("price", price, signal.shape)
    tradable = flags("tradable", tradable, signal.shape)
    days = ascending_days(days, len(signal))
    offsets = _offsets(tracks, every)
    daily = daily_statistics(signal, forward_returns(price, every, delay), tradable, min_stocks)
    schedules = [track_schedule(len(days), every, offset) for offset in offsets]
    portfolios = simulate_tracks(signal, price, tradable, schedules, groups, delay, cost, min_stocks)

    whole = [_track_metrics(daily, portfolios, k, schedules[k], days, every, None) for k in range(len(offsets))]
    years = np.unique(days.astype("datetime64[Y]"))
    yearly = {
        int(year.astype(int)) + 1970: _mean_metrics(
            [_track_metrics(daily, portfolios, k, schedules[k], days, every, year) for k in range(len(offsets))]
        )
        for year in years
    }
    return Evaluation(
        days=days,
        every=every,
        groups=groups,
        direction=direction,
        tracks=offsets,
        rank_ic=daily[:, 1],
        ic=daily[:, 2],
        weighted_rank_ic=daily[:, 3],
        weighted_ic=daily[:, 4],
        top_precision=daily[:, 5],
        bottom_precision=daily[:, 6],
        stocks=daily[:, 0].astype(np.int64),
        portfolios=portfolios,
        summary=_mean_metrics(whole),
        by_track=pd.DataFrame(whole, index=pd.Index(offsets, name="track")),
        by_year=pd.DataFrame.from_dict(yearly, orient="index").rename_axis("year"),
        ledger=_ledger(portfolios, days, offsets),
        flat_days=int(((daily[:, 0] >= min_stocks) & np.isnan(daily[:, 1])).sum()),
    )


def ic_decay(
    signal: np.ndarray,
    price: np.ndarray,
    universe: np.ndarray,
    lags: Iterable[int] = range(1, 21),
    delay: int = 1,
    min_stocks: int = MIN_STOCKS,
) -> dict[int, float]:
    """Mean RankIC of a signal with the return of the single day that comes ``lag`` days later.

    ``lag`` 1 is the return from the execution price at ``T + delay`` to the same price the day after.

    Parameters
    ----------
    signal, price : ndarray of float (D, S)
    universe : ndarray of bool (D, S)
    lags : iterable of int
        From 1.
    delay, min_stocks : int

    Returns
    -------
    dict of int to float
        NaN where no day has both.
    """
    signal = dense("signal", signal)
    one_day = forward_returns(dense("price", price, signal.shape), 1, 0)
    out = {}
    for lag in lags:
        if lag < 1:
            raise EvaluationError(f"lag was {lag}, expected 1 or more")
        shift = delay + lag - 1
        later = np.full_like(one_day, np.nan)
        later[: len(later) - shift] = one_day[shift:]
        out[int(lag)] = _mean(rank_ic_by_day(signal, later, universe, min_stocks))
    return out


def long_short(
    signal: np.ndarray,
    price: np.ndarray,
    tradable: np.ndarray,
    days: np.ndarray,
    rebalance: str = "weekly",
    direction: int = 1,
    delay: int = 1,
    min_stocks: int = MIN_STOCKS,
) -> LongShort:
    """Daily long-short and long-excess returns on calendar rebalances, as the weekly monitor follows them.

    Parameters
    ----------
    signal, price : ndarray of float (D, S)
        See `evaluate`; make the signal orthogonal to the common factors first where the definition asks for it.
    tradable : ndarray of bool (D, S)
    days : ndarray of datetime64[D] (D,)
    rebalance : {"weekly", "monthly"}
        Decisions on the last trading day of the period: monthly for hand-made factors, weekly for models.
    direction : {1, -1}
    delay, min_stocks : int

    Returns
    -------
    LongShort

    Notes
    -----
    Source: Haitong weekly 2023-12-15, table 1.
    """
    if direction not in (1, -1):
        raise EvaluationError(f"direction was {direction!r}, expected 1 or -1")
    signal = dense("signal", signal) * direction
    days = ascending_days(days, len(signal))
    held = simulate_tracks(signal, price, tradable, [period_schedule(days, rebalance)], 2, delay, min_stocks=min_stocks)
    top, bottom, every_stock = (
        _daily_returns(held.gross[0, held.index(name)]) for name in ("top10pct", "bottom10pct", "universe")
    )
    return LongShort(
        days=days,
        long_short=top - bottom,
        long_excess=(1 + top) / (1 + every_stock) - 1,
        rebalances=int((held.reason[0] == 0).sum()),
        skipped=int((held.reason[0] != 0).sum()),
    )


def _track_metrics(
    daily: np.ndarray,
    held: Tracks,
    k: int,
    schedule: np.ndarray,
    days: np.ndarray,
    every: int,
    year: np.datetime64 | None,
) -> dict[str, float]:
    """Metrics of one track, over all days or one calendar year."""
    in_period = np.ones(len(days), bool) if year is None else days.astype("datetime64[Y]") == year
    counted = daily[schedule & in_period]
    made = (held.reason[k] == 0) & in_period[held.decided[k]]
    out = {"stocks_mean": _mean(held.stocks[k][made, 2].astype(np.float64))}
    for column, mean_name, ratio_name in (
        (1, "rank_ic_mean", "rank_icir"),
        (2, "ic_mean", "icir"),
        (3, "weighted_rank_ic_mean", "weighted_rank_icir"),
        (4, "weighted_ic_mean", "weighted_icir"),
    ):
        values = counted[:, column]
        out[mean_name] = _mean(values)
        out[ratio_name] = _ratio(out[mean_name], _std(values))
    rank_ic = counted[np.isfinite(counted[:, 1]), 1]
    out["rank_ic_std"] = _std(rank_ic)
    out["rank_ic_ir"] = out["rank_icir"]
    out["rank_icir_annual"] = out["rank_icir"] * np.sqrt(YEAR / every)
    out["rank_ic_positive_ratio"] = _mean(np.where(rank_ic > 0, 1.0, 0.0))
    out["top_precision"], out["bottom_precision"] = _mean(counted[:, 5]), _mean(counted[:, 6])

    out["rebalances"], out["skipped_rebalances"] = float(made.sum()), float((in_period[held.decided[k]] & ~made).sum())
    out["top_turnover_two_way"] = _mean(held.turnover[k][made, 0])
    span = _span(held.gross[k, held.index("universe")], in_period)
    base = held.gross[k, held.index("universe")]
    enough = bool(made.any()) and float(np.median(held.stocks[k][made, 2])) >= TOP_COUNT_NEEDS
    bottom = held.names[held.index("top10pct") - 1]

    def growth(nav: np.ndarray, annual: bool = True) -> float:
        return _growth(nav, span, annual and year is None)

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
        out[f"{name}_turnover_two_way"] = _mean(held.turnover[k][made, held.index(name)]) if meaningful else np.nan
    hedged = _long_short_nav(held, k)
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


def _growth(nav: np.ndarray, span: tuple[int, int], annual: bool) -> float:
    """Return over the span. A track's own start counts from 1.0, so that the first purchase's cost is in the net."""
    first, last = span
    if last <= first:
        return np.nan
    started = first == 0 or np.isnan(nav[first - 1])
    total = nav[last] / (1.0 if started else nav[first])
    return float(total ** (YEAR / (last - first)) - 1.0) if annual else float(total - 1.0)


def _volatility(nav: np.ndarray, span: tuple[int, int]) -> float:
    return _std(_daily_returns(nav[span[0] : span[1] + 1])) * np.sqrt(YEAR)


def _drawdown(nav: np.ndarray, span: tuple[int, int]) -> float:
    if span[1] <= span[0]:
        return np.nan
    window = nav[span[0] : span[1] + 1]
    return float(np.max(1.0 - window / np.maximum.accumulate(window)))


def _monthly_win_rate(relative: np.ndarray, days: np.ndarray, span: tuple[int, int]) -> float:
    first, last = span
    if last <= first:
        return np.nan
    month = days[first + 1 : last + 1].astype("datetime64[M]")
    ends = np.flatnonzero(np.append(month[1:] != month[:-1], True)) + first + 1
    levels = relative[np.append(first, ends)]
    return float(np.mean(levels[1:] > levels[:-1]))


def _long_short_nav(held: Tracks, k: int) -> np.ndarray:
    """Top tenth minus bottom tenth of one track, daily compounded; 1.0 on the day of the first purchase."""
    top, bottom = (held.gross[k, held.index(name)] for name in ("top10pct", "bottom10pct"))
    spread = _daily_returns(top) - _daily_returns(bottom)
    nav = np.cumprod(1.0 + np.where(np.isfinite(spread), spread, 0.0))
    nav[np.isnan(top)] = np.nan
    return nav


def _daily_returns(nav: np.ndarray) -> np.ndarray:
    out = np.full(len(nav), np.nan)
    out[1:] = nav[1:] / nav[:-1] - 1.0
    return out


def _mean_over_tracks(values: np.ndarray) -> np.ndarray:
    """Mean of finite entries over the first axis, NaN where there is none."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    total = np.where(finite, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_metrics(tracks: list[dict[str, float]]) -> dict[str, float]:
    return {name: _mean(np.array([track[name] for track in tracks])) for name in tracks[0]}


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else np.nan


def _std(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1)) if values.size > 1 else np.nan


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 1e-15 else np.nan


def _ledger(held: Tracks, days: np.ndarray, offsets: tuple[int, ...]) -> pd.DataFrame:
    rows: list[Mapping[str, object]] = [
        {
            "date": days[held.decided[k][r]],
            "track": offsets[k],
            "in_universe": int(held.stocks[k][r, 0]),
            "with_signal": int(held.stocks[k][r, 1]),
            "with_price": int(held.stocks[k][r, 2]),
            "reason": REASONS[held.reason[k][r]],
        }
        for k in range(len(offsets))
        for r in np.flatnonzero(held.reason[k])
    ]
    columns = ["date", "track", "in_universe", "with_signal", "with_price", "reason"]
    return pd.DataFrame(rows, columns=columns).sort_values(["date", "track"], ignore_index=True)


def _offsets(tracks: int | Iterable[int] | None, every: int) -> tuple[int, ...]:
    if tracks is None:
        return tuple(range(every))
    offsets = (tracks,) if isinstance(tracks, int) else tuple(int(t) for t in tracks)
    wrong = [t for t in offsets if not 0 <= t < every]
    if wrong or not offsets:
        raise EvaluationError(f"tracks was {offsets}, expected offsets from 0 to {every - 1}")
    return offsets
