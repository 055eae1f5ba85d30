"""From target weights to daily net asset value.

Timing of one rebalance:

1. ``decided``, after the close of day T: a target is chosen from data available then.
2. Day T+1: orders are filled at the day's trade price (:func:`trade`). What cannot trade stays, and the freed or
   missing weight is spread over the rest in proportion (:mod:`mg_portfolio.backtest.execution`, with lots and a
   capacity where asked). Costs come out of the portfolio's value.
3. From the close of T+1 on, holdings drift with prices until the next trade (:func:`simulate`, :func:`drift_to`).

Between trades nothing changes but prices, so a stretch of days is valued in one matrix product.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mg_axes import SYMBOLS, WEIGHTS, align, is_labelled
from mg_portfolio.backtest.benchmark import Benchmark, benchmark_nav
from mg_portfolio.backtest.execution import Execution, Filling, round_to_lots
from mg_portfolio.backtest.holdings import DUST, Holdings, checked_weights, holdings_from_weights
from mg_portfolio.backtest.market_panel import Day, MarketPanel
from mg_portfolio.backtest.result import (
    ABSENT,
    CAPACITY,
    DELISTED,
    FILLED,
    LIMIT_DOWN,
    LIMIT_UP,
    LOT,
    NO_PRICE,
    SUSPENDED,
    BacktestResult,
    Fill,
    trade_tables,
)
from mg_portfolio.costs import Costs, CostSchedule
from mg_portfolio.errors import BacktestError


def simulate(
    market: MarketPanel,
    decisions: Mapping[Day, np.ndarray] | Any,
    start_holdings: np.ndarray | None = None,
    cost: Costs | CostSchedule | None = None,
    benchmark: Benchmark = None,
    execution: Execution | None = None,
) -> BacktestResult:
    """Backtest target weights: trade, pay costs and drift, day by day.

    Parameters
    ----------
    market : MarketPanel
        Prices and tradability of D days and S stocks.
    decisions : mapping of day (index or date) to (S,) target weights, or a labelled panel of them
        Weights labelled by symbol (:mod:`mg_axes`) are aligned on the market's; of a panel, each date is a decision.
        Decided after that day's close, traded the next day. A decision on the panel's last day is not traded.
    start_holdings : (S,) float, or labelled by symbol, optional
        Weights at the close of the panel's first day; where absent the portfolio starts in cash on the first
        decision's day.
    cost : Costs or CostSchedule, optional
        Default: series 72's 0.4% two-sided; :func:`~mg_portfolio.costs.chinese_costs` has the rates of each day.
    benchmark : optional
        May be labelled. (D,) daily returns of the index (entry t: close t-1 to close t); or (D, S) weights at each
        close, held for a day; or a mapping of day to (S,) weights, bought at that close free of cost and drifting
        after.
    execution : Execution, optional
        Capital, and with it lots and a capacity; where absent, any fraction of a share trades at the day's price.

    Returns
    -------
    BacktestResult
        Daily values and weights, every order with the reason where it was not filled, and every rebalance.

    Raises
    ------
    BacktestError
        Targets, holdings or benchmark do not fit the panel.
    """
    cost = Costs() if cost is None else cost
    decided_on = _by_day(market, decisions)
    targets = {market.index(day): _target(market, day, w) for day, w in decided_on.items()}
    if len(targets) < len(decided_on):
        at = [market.index(day) for day in decided_on]
        twice = next(day for day in at if at.count(day) > 1)
        raise BacktestError(f"decisions had {market.days[twice]} twice: expected one a day")
    order = sorted(targets)
    if start_holdings is None and not order:
        raise BacktestError("there was neither a decision nor a start holding: nothing to simulate")
    start = order[0] if start_holdings is None else 0
    owned = (
        Holdings(np.zeros(len(market.symbols)), 1.0)
        if start_holdings is None
        else holdings_from_weights(market, start_holdings, 0)
    )

    count = len(market.days) - start
    nav, cash = np.empty(count), np.empty(count)
    holdings = np.empty((count, len(market.symbols)))
    units_after_trade, trade_of_day = [owned.units], np.zeros(count, dtype=np.int64)
    fills: list[tuple[int, Fill, float]] = []

    def value_holdings(first: int, after: int) -> None:
        """Net asset value, cash and weights on days first..after-1."""
        at = slice(first - start, after - start)
        worth = market.mark[first:after] * owned.units  # (days, S)
        nav[at] = worth.sum(axis=1) + owned.cash
        cash[at], trade_of_day[at] = owned.cash, len(units_after_trade) - 1
        np.divide(worth, nav[at, None], out=holdings[at])

    now = start
    for decided in order:
        if decided + 1 >= len(market.days):
            break
        value_holdings(now, decided + 1)
        now = decided + 1
        planned = float(np.abs(targets[decided] - holdings[decided - start]).sum())
        owned, fill = trade(market, owned, targets[decided], now, cost.on(market.days[now]), execution)
        units_after_trade.append(owned.units)
        fills.append((decided, fill, planned))
    value_holdings(now, len(market.days))

    index_nav = benchmark_nav(market, benchmark, start)
    bought = [decided + 1 - start for decided, _, _ in fills]
    trades, rebalances = trade_tables(market, fills, (cash / nav)[bought], bought_in=start_holdings is None)
    return BacktestResult(
        days=market.days[start:],
        nav=nav,
        benchmark_nav=index_nav,
        relative_nav=nav / index_nav,
        holdings=holdings,
        cash=cash,
        units_after_trade=np.stack(units_after_trade),
        trade_of_day=trade_of_day,
        trades=trades,
        rebalances=rebalances,
    )


def drift_to(
    market: MarketPanel,
    holdings: np.ndarray,
    target: np.ndarray | None,
    decided: Day,
    until: Day,
    cost: Costs | CostSchedule | None = None,
    execution: Execution | None = None,
) -> tuple[np.ndarray, float]:
    """Trade one decision and drift, from the close of its day to the close of a later one.

    Parameters
    ----------
    market : MarketPanel
        Needs the days from ``decided`` to ``until`` alone, with closes carried forward for halted stocks.
    holdings : (S,) float
        Weights at the close of ``decided``, before the decision; what is missing to one is cash.
    target : (S,) float or None
        Decided then, traded the next day; None only drifts.
    decided, until : day
        Index or date; ``until`` not before ``decided``.
    cost : Costs or CostSchedule, optional
        Default: series 72's 0.4% two-sided.
    execution : Execution, optional
        With the capital at the decision.

    Returns
    -------
    weights : (S,) float
        At the close of ``until``, the same as :func:`simulate` over all decisions gives.
    growth : float
        Value at the close of ``until`` over the value at the close of ``decided``.

    Raises
    ------
    BacktestError
        ``until`` was before ``decided``, or weights do not fit the panel.
    """
    first, last = market.index(decided), market.index(until)
    if last < first:
        raise BacktestError(f"until ({market.days[last]}) was before decided ({market.days[first]})")
    owned = holdings_from_weights(market, holdings, first)
    if target is not None and last > first:
        wanted = _target(market, decided, target)
        rates = (Costs() if cost is None else cost).on(market.days[first + 1])
        owned, _ = trade(market, owned, wanted, first + 1, rates, execution)
    worth = owned.units * market.mark[last]
    value = float(worth.sum()) + owned.cash
    return worth / value, value


def trade(
    market: MarketPanel, owned: Holdings, target: np.ndarray, day: int, cost: Costs, execution: Execution | None = None
) -> tuple[Holdings, Fill]:
    """Fill one day's orders.

    Weights are fractions of the value after costs, which depends on the trades: a fixed point, found to rounding in a
    few rounds because a round shrinks the error by the cost rate.

    Parameters
    ----------
    market : MarketPanel
        Prices and tradability of D days and S stocks.
    owned : Holdings
        Before the trades.
    target : (S,) float
        Weights wanted, checked.
    day : int
        Index of the trading day in the panel.
    cost : Costs
        Rates of that day.
    execution : Execution, optional
        With the capital at the portfolio's start.

    Returns
    -------
    holdings : Holdings
        After the trades.
    fill : Fill
        What was planned and filled.

    Raises
    ------
    BacktestError
        The portfolio was worth nothing, or the panel lacks what the execution model needs.
    """
    last = market.mark[day - 1]
    tradable = market.tradable[day]
    price = np.where(tradable, market.trade_price[day], last)
    worth = owned.units * price  # (S,)
    value = float(worth.sum()) + owned.cash
    if value <= 0.0:
        raise BacktestError(f"the portfolio was worth {value:.6g} on {market.days[day]}: nothing to trade with")
    reason = np.where(tradable, FILLED, np.where(market.suspended[day], SUSPENDED, NO_PRICE)).astype(np.int8)
    paid_out = np.zeros_like(worth)
    held_cash = owned.cash
    if market.listed is not None:
        gone = ~market.listed[day]
        reason[gone] = DELISTED if market.absent is None else np.where(market.absent[day], ABSENT, DELISTED)[gone]
        paid_out = np.where(gone, worth, 0.0)
        held_cash += float(paid_out.sum())
        worth = np.where(gone, 0.0, worth)

    low, high = np.where(tradable, 0.0, worth), np.where(tradable, np.inf, worth)
    up, down = tradable & market.limit_up[day], tradable & market.limit_down[day]
    high[up], low[down] = worth[up], worth[down]
    depth = _depth(market, day, execution)
    high, low = np.minimum(high, worth + depth), np.maximum(low, worth - depth)
    filling = Filling(target, low, high)
    invested = float(target.sum())
    net = value
    for _ in range(60):
        wanted = filling.scaled_target(net * invested)
        traded = filling.clip(wanted) - worth
        paid = _paid(traded, cost)
        before, net = net, value - paid
        if abs(net - before) <= 1e-16 * value:
            break
    dust = DUST * value
    bought, sold = tradable & (wanted > worth + dust), tradable & (wanted < worth - dust)
    deep = (bought & (wanted > worth + depth + dust)) | (sold & (wanted < worth - depth - dust))
    reason[deep] = CAPACITY
    reason[bought & up], reason[sold & down] = LIMIT_UP, LIMIT_DOWN
    if execution is not None and execution.lots:
        share = _share_value(market, day, price, traded, execution)
        whole = round_to_lots(traded, worth, share, market.symbols, held_cash, cost.buy, cost.sell, market.days[day])
        reason[(np.abs(traded) > dust) & (whole == 0.0)] = LOT
        traded, paid = whole, _paid(whole, cost)

    moved = traded != 0.0
    units = owned.units.copy()
    units[moved] = (worth + traded)[moved] / price[moved]
    units[paid_out > 0.0] = 0.0
    after = Holdings(units, held_cash - float(traded.sum()) - paid)
    planned = target - worth / value
    return after, Fill(planned, traded / value, reason, paid_out / value, paid / value, value)


def _paid(traded: np.ndarray, cost: Costs) -> float:
    """Cost of the orders, in units of value."""
    return cost.buy * float(traded[traded > 0.0].sum()) - cost.sell * float(traded[traded < 0.0].sum())


def _depth(market: MarketPanel, day: int, execution: Execution | None) -> np.ndarray:
    """Largest order of each stock in units of the portfolio's first value; infinite without a capacity."""
    if execution is None or execution.participation is None:
        return np.full(len(market.symbols), np.inf)
    if market.amount is None:
        raise BacktestError("participation was set but the panel had no amount: give yuan traded by day and stock")
    return np.nan_to_num(market.amount[day]) * (execution.participation / execution.capital)


def _share_value(
    market: MarketPanel, day: int, price: np.ndarray, traded: np.ndarray, execution: Execution
) -> np.ndarray:
    """Value of one share at the exchange's price, in units of the portfolio's first value."""
    if market.adj_factor is None:
        raise BacktestError("lots were asked for but the panel had no adj_factor: give it by day and stock")
    factor = market.adj_factor[day]
    bad = np.flatnonzero((traded != 0.0) & ~(factor > 0.0))
    if len(bad):
        raise BacktestError(
            f"adj_factor of {market.symbols[bad[0]]} on {market.days[day]} was {float(factor[bad[0]])!r}, expected a "
            "number above 0 where the stock trades"
        )
    return price / np.where(factor > 0.0, factor, 1.0) / execution.capital


def _by_day(market: MarketPanel, decisions: Any) -> Mapping[Day, np.ndarray]:
    """Decisions by their day."""
    if is_labelled(decisions):
        layouts = {"decisions": WEIGHTS, "symbols": SYMBOLS}
        found, axes = align(BacktestError, layouts, {"decisions": decisions, "symbols": market.symbols})
        return dict(zip(axes["d"], found["decisions"], strict=True))
    if not isinstance(decisions, Mapping):
        raise BacktestError(
            f"decisions was a {type(decisions).__name__}, expected weights by day: a mapping, or a labelled panel"
        )
    return decisions


def _target(market: MarketPanel, day: Day, target: np.ndarray) -> np.ndarray:
    """A decision's weights, checked."""
    return checked_weights(market, target, f"target decided on {market.days[market.index(day)]}")
