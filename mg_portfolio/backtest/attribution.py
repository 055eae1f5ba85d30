"""Where the excess return came from: industries and selection (Brinson), or styles, industries and the rest (factors).

Both split each period's excess return exactly: the parts sum to it, whatever the weights. :func:`attribute` does both
for a backtest, day by day, and reports separately what the costs took and what the days of trading added or took.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mg_axes import BY_DAY, Layout, aligned
from mg_portfolio.backtest.benchmark import Benchmark, benchmark_weights
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.result import BacktestResult
from mg_portfolio.errors import BacktestError, ProblemError

_PANEL, _CODES = Layout("ds", otherwise="s", wider=True), Layout("ds", -1, otherwise="s", wider=True)
_WEIGHTS = Layout("ds", 0.0, otherwise="s")


@dataclass(frozen=True, eq=False)
class Brinson:
    """Brinson-Fachler attribution of T periods over G industries.

    Attributes
    ----------
    industries : (G,) int
        Codes; the last is the cash (code -1 unless an industry has it), with zeros where both sides summed to one.
    allocation : (T, G) float
        ``(Wp - Wb) * (Rb_industry - Rb)``: the weight given to industries that beat the benchmark.
    selection : (T, G) float
        ``Wp * (Rp_industry - Rb_industry)``: stocks within industries, the interaction included.
    excess : (T,) float
        ``Rp - Rb``, the sum of the two over industries.
    link : (T,) float
        Factors that make the periods' effects sum to the compounded excess, see :func:`carino`.
    """

    industries: np.ndarray
    allocation: np.ndarray
    selection: np.ndarray
    excess: np.ndarray
    link: np.ndarray

    def table(self) -> pd.DataFrame:
        """Linked totals by industry.

        Returns
        -------
        DataFrame
            ``allocation``, ``selection`` and ``total``, their sum, which add up to the compounded excess.
        """
        factor = self.link[:, None]
        frame = pd.DataFrame(
            {"allocation": (self.allocation * factor).sum(axis=0), "selection": (self.selection * factor).sum(axis=0)},
            index=pd.Index(self.industries, name="industry"),
        )
        return frame.assign(total=frame.sum(axis=1))


@aligned(ProblemError, by=("portfolio",), portfolio=_WEIGHTS, benchmark=_WEIGHTS, returns=_PANEL, industry=_CODES)
def brinson(portfolio: np.ndarray, benchmark: np.ndarray, returns: np.ndarray, industry: np.ndarray) -> Brinson:
    """Split excess returns into industry allocation and stock selection.

    Parameters
    ----------
    portfolio, benchmark : (T, S) float, or labelled
        Labelled arguments (:mod:`mg_axes`) are aligned on those of the portfolio. Weights at the start of each period.
        What is missing to one is cash, with return zero.
    returns : (T, S) float
        Stock returns of the period; NaN (no price) counts as zero.
    industry : (S,) or (T, S) int
        Codes.

    Returns
    -------
    Brinson
        An industry that only one side holds is given the benchmark's whole return (the other side's industry return)
        on the missing side, so all of its effect is selection (allocation).

    Raises
    ------
    ProblemError
        Shapes differ.

    Notes
    -----
    Cash is an industry that earns nothing: ``Wp - Wb`` of it costs ``Rb`` while the index rises and earns it while it
    falls, all of that allocation. A portfolio that starts in cash holds nothing else on its first day: the industries'
    allocations of that day, ``-Wb * (Rb_industry - Rb)``, cancel out, and its whole excess, ``-Rb``, is the cash's.
    Left out of the table it would be missing from the sum.

    Source: Brinson and Fachler (1985); compounded after Carino (1999), :func:`carino`.
    """
    wp, wb = (
        np.atleast_2d(np.asarray(portfolio, dtype=np.float64)),
        np.atleast_2d(np.asarray(benchmark, dtype=np.float64)),
    )
    r = np.nan_to_num(np.atleast_2d(np.asarray(returns, dtype=np.float64)))
    code = np.broadcast_to(np.asarray(industry), wp.shape)
    if not wp.shape == wb.shape == r.shape:
        raise ProblemError(f"shapes differed: portfolio {wp.shape}, benchmark {wb.shape}, returns {r.shape}")
    names, group = np.unique(code, return_inverse=True)
    t, g = len(wp), len(names)
    cell = (np.arange(t)[:, None] * (g + 1) + group.reshape(wp.shape)).ravel()

    def total(values: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Sums per period and industry, the cash in the last column."""
        out = np.bincount(cell, weights=values.ravel(), minlength=t * (g + 1)).reshape(t, g + 1)
        out[:, g] = rest
        return out

    none = np.zeros(t)
    weight_p, weight_b = total(wp, 1.0 - wp.sum(axis=1)), total(wb, 1.0 - wb.sum(axis=1))  # (T, G + 1)
    earned_p, earned_b = total(wp * r, none), total(wb * r, none)
    whole_p, whole_b = earned_p.sum(axis=1), earned_b.sum(axis=1)  # (T,)
    rate_b = np.divide(earned_b, weight_b, out=np.repeat(whole_b[:, None], g + 1, axis=1), where=weight_b > 0.0)
    rate_b[:, g] = 0.0
    allocation = (weight_p - weight_b) * (rate_b - whole_b[:, None])
    selection = earned_p - weight_p * rate_b
    cash_code = -1 if -1 not in names else int(names.min()) - 1
    return Brinson(
        industries=np.append(names, cash_code),
        allocation=allocation,
        selection=selection,
        excess=whole_p - whole_b,
        link=carino(whole_p, whole_b),
    )


@aligned(ProblemError, by=("portfolio",), portfolio=BY_DAY, benchmark=BY_DAY)
def carino(portfolio: np.ndarray, benchmark: np.ndarray) -> np.ndarray:
    """Factors that make single-period effects add up to the difference of compounded returns.

    ``k_t / k`` with ``k = (ln(1 + P) - ln(1 + B)) / (P - B)`` of the whole and of each period (Carino, 1999).

    Parameters
    ----------
    portfolio, benchmark : (T,) float
        Returns of each period.

    Returns
    -------
    (T,) float
        Factors for the effects of each period.
    """

    def ratio(p: np.ndarray, b: np.ndarray) -> np.ndarray:
        gap = p - b
        small = np.abs(gap) < 1e-10
        return np.where(small, 1.0 / (1.0 + b), (np.log1p(p) - np.log1p(b)) / np.where(small, 1.0, gap))

    whole_p, whole_b = np.prod(1.0 + portfolio) - 1.0, np.prod(1.0 + benchmark) - 1.0
    return ratio(portfolio, benchmark) / ratio(np.array(whole_p), np.array(whole_b))


@aligned(ProblemError, by=("returns",), active=_WEIGHTS, returns=_PANEL, styles=_PANEL, industry=_CODES, size=_PANEL)
def factor_attribution(
    active: np.ndarray,
    returns: np.ndarray,
    styles: dict[str, np.ndarray],
    industry: np.ndarray,
    size: np.ndarray | None = None,
) -> pd.DataFrame:
    """Split excess returns into industries, each style, and what the factors leave over.

    Each period's returns are regressed on industry dummies and styles by weighted least squares; a factor's part is the
    portfolio's active exposure times the factor's return, and selection is the active weight times the residuals.

    Parameters
    ----------
    active : (T, S) float, or labelled
        Labelled arguments (:mod:`mg_axes`) are aligned on those of the returns. ``w - b`` at the start of each period.
    returns : (T, S) float
        NaN leaves the stock out of the regression and counts as zero return.
    styles : dict of name to (T, S) or (S,) float
        Exposures at the start of the period; NaN counts as zero.
    industry : (S,) or (T, S) int
        Codes.
    size : (T, S) or (S,) float, optional
        Regression weights, such as the square root of the market value; equal where absent.

    Returns
    -------
    DataFrame
        Row per period; columns ``industry``, the styles, ``selection``, ``excess`` (their sum).

    Raises
    ------
    ProblemError
        Shapes differ.
    """
    a = np.atleast_2d(np.asarray(active, dtype=np.float64))
    r = np.atleast_2d(np.asarray(returns, dtype=np.float64))
    if a.shape != r.shape:
        raise ProblemError(f"shapes differed: active {a.shape}, returns {r.shape}")
    code = np.broadcast_to(np.asarray(industry), a.shape)
    exposure = {
        name: np.nan_to_num(np.broadcast_to(np.asarray(x, dtype=np.float64), a.shape)) for name, x in styles.items()
    }
    weight = np.ones(a.shape) if size is None else np.broadcast_to(np.asarray(size, dtype=np.float64), a.shape)
    lines = []
    for t in range(len(a)):
        use = np.isfinite(r[t]) & (weight[t] > 0.0)
        codes, group = np.unique(code[t], return_inverse=True)
        x = np.column_stack([e[t] for e in exposure.values()]) if exposure else np.zeros((a.shape[1], 0))
        by_group = _WithinGroups(group, len(codes), np.where(use, weight[t], 0.0))
        y = np.where(use, r[t], 0.0)
        inside = x - by_group.means(x)[group]  # the dummies swept out: styles within industries
        root = np.sqrt(by_group.weight)[:, None]
        beta = np.linalg.lstsq(inside * root, (y - by_group.means(y[:, None])[group][:, 0]) * root[:, 0], rcond=None)[0]
        industries = by_group.means((y - x @ beta)[:, None])[:, 0]  # (G,) return of each industry
        by_style = (a[t] @ x) * beta  # active exposure times factor return
        by_industry = float(np.bincount(group, a[t], len(codes)) @ industries)
        excess = float(a[t] @ np.nan_to_num(r[t]))
        line = {"industry": by_industry, **dict(zip(exposure, by_style.tolist(), strict=True))}
        lines.append({**line, "selection": excess - by_industry - float(by_style.sum()), "excess": excess})
    return pd.DataFrame(lines)


class _WithinGroups:
    """Weighted means of columns over groups of stocks; 0 in a group without weight."""

    def __init__(self, group: np.ndarray, count: int, weight: np.ndarray) -> None:
        self.group, self.count, self.weight = group, count, weight
        self._total = np.bincount(group, weight, count)

    def means(self, x: np.ndarray) -> np.ndarray:
        """Means of (S, K) columns; (G, K)."""
        sums = np.column_stack([np.bincount(self.group, self.weight * c, self.count) for c in x.T]) if x.size else x[:0]
        if not x.shape[1]:
            return np.zeros((self.count, 0))
        return np.divide(sums, self._total[:, None], out=np.zeros_like(sums), where=self._total[:, None] > 0.0)


@dataclass(frozen=True, eq=False)
class BacktestAttribution:
    """Daily attribution of a backtest; all effects are fractions of the value at the close before.

    Attributes
    ----------
    days : (T - 1,) datetime64[D]
        The days after the first.
    brinson : Brinson
        Of the holdings at each close over the next day; it links to the compounded excess.
    factors : DataFrame or None
        Columns ``industry``, the styles, ``selection``; a row per day. Their sum is Brinson's.
    execution : (T - 1,) float
        What trading at the day's price instead of the close added: the trade's own day, costs apart.
    cost : (T - 1,) float
        What costs took, negative.
    excess : (T - 1,) float
        Portfolio's return less the benchmark's: the sum of all effects.
    link : (T - 1,) float
        Factors that make daily effects sum to the difference of the compounded returns.
    """

    days: np.ndarray
    brinson: Brinson
    factors: pd.DataFrame | None
    execution: np.ndarray
    cost: np.ndarray
    excess: np.ndarray
    link: np.ndarray

    def table(self) -> pd.Series:
        """Linked totals by effect.

        Returns
        -------
        Series
            ``allocation``, ``selection``, ``execution`` and ``cost``, and ``excess``, their sum.
        """
        parts = {
            "allocation": float((self.brinson.allocation.sum(axis=1) * self.link).sum()),
            "selection": float((self.brinson.selection.sum(axis=1) * self.link).sum()),
            "execution": float((self.execution * self.link).sum()),
            "cost": float((self.cost * self.link).sum()),
        }
        return pd.Series({**parts, "excess": sum(parts.values())})

    def factor_table(self) -> pd.Series:
        """Linked totals by factor.

        Returns
        -------
        Series
            Each factor, ``execution`` and ``cost``, and ``excess``, their sum.

        Raises
        ------
        BacktestError
            No styles were given.
        """
        if self.factors is None:
            raise BacktestError("attribute was called without styles: give exposures to split by factor")
        parts = self.factors.drop(columns="excess").mul(self.link, axis=0).sum()
        parts = pd.concat([parts, self.table()[["execution", "cost"]]])
        return pd.concat([parts, pd.Series({"excess": parts.sum()})])


def attribute(
    result: BacktestResult,
    market: MarketPanel,
    benchmark: Benchmark,
    industry: np.ndarray,
    styles: dict[str, np.ndarray] | None = None,
    size: np.ndarray | None = None,
) -> BacktestAttribution:
    """Split a backtest's excess return into industries, stocks, styles, execution and cost.

    Parameters
    ----------
    result : BacktestResult
        Of :func:`mg_portfolio.simulate`.
    market : MarketPanel
        The panel it ran on.
    benchmark : mapping of day to (S,) weights, or (D, S) weights
        The backtest's own.
    industry : (S,) or (D, S) int, or labelled
        Codes. Labelled arguments (:mod:`mg_axes`) are aligned on the market's days and symbols.
    styles : dict of name to (S,) or (D, S) float, or labelled, optional
        Exposures available at each close; with them the split by factor.
    size : (S,) or (D, S) float, optional
        Weights of the factor regressions.

    Returns
    -------
    BacktestAttribution
        Daily effects, and tables of their linked totals.

    Raises
    ------
    BacktestError
        The benchmark has no weights, or the result is not of this panel.
    """
    start = market.index(result.days[0])
    given = market.on_axes(
        {"industry": _CODES, "styles": _PANEL, "size": _PANEL}, {"industry": industry, "styles": styles, "size": size}
    )
    industry, styles, size = given["industry"], given["styles"], given["size"]
    if len(result.days) != len(market.days) - start or result.holdings.shape[1] != len(market.symbols):
        raise BacktestError(
            f"the result had {result.holdings.shape} days and stocks from {result.days[0]} on, where the panel has "
            f"{(len(market.days) - start, len(market.symbols))}: give the panel that it ran on"
        )
    before, after = market.mark[start:-1], market.mark[start + 1 :]
    growth = np.divide(after, before, out=np.ones_like(after), where=before > 0.0) - 1.0  # (T - 1, S)
    held, index = result.holdings[:-1], benchmark_weights(market, benchmark, start)
    earned = result.nav[1:] / result.nav[:-1] - 1.0
    index_earned = (index * growth).sum(axis=1)
    cost = np.zeros(len(earned))
    at = np.searchsorted(result.days, result.rebalances["traded"].to_numpy("datetime64[D]")) - 1
    paid = (result.rebalances["cost"] * result.rebalances["value"]).to_numpy(dtype=np.float64)
    cost[at] = -paid / result.nav[at]
    execution = earned - (held * growth).sum(axis=1) - cost
    link = carino(earned, index_earned)

    def since(x: np.ndarray) -> np.ndarray:
        return x if np.ndim(x) == 1 else np.asarray(x)[start:-1]

    by_industry = replace(brinson(held, index, growth, since(np.asarray(industry))), link=link)
    factors = None
    if styles is not None:
        exposures = {name: since(np.asarray(x)) for name, x in styles.items()}
        weight = None if size is None else since(np.asarray(size))
        # a stock without a price before has no return to explain
        priced = np.where(before > 0.0, growth, np.nan)
        factors = factor_attribution(held - index, priced, exposures, since(np.asarray(industry)), weight)
        factors.index = pd.DatetimeIndex(result.days[1:])
    return BacktestAttribution(result.days[1:], by_industry, factors, execution, cost, earned - index_earned, link)
