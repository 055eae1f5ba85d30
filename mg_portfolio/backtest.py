"""From target weights to daily net asset value.

The clock of one rebalance:

1. ``decided``, after the close of day T: a target is chosen with what is known then.
2. Day T+1: orders are filled at the day's trade price (:func:`trade`). What cannot trade stays, and the freed or
   missing weight is spread over the rest in proportion. Costs come out of the portfolio's value.
3. From the close of T+1 on, holdings drift with prices until the next trade (:func:`simulate`, :func:`drift_to`).

Between trades nothing changes but prices, so a stretch of days is valued in one matrix product.
"""

from collections.abc import Mapping

import numpy as np

from mg_portfolio.account import (
    DELISTED,
    FILLED,
    LIMIT_DOWN,
    LIMIT_UP,
    NO_PRICE,
    SUSPENDED,
    BacktestResult,
    Fill,
    tables,
)
from mg_portfolio.costs import Costs
from mg_portfolio.errors import BacktestError
from mg_portfolio.holdings import DUST, Book, book_of, checked_weights
from mg_portfolio.index import Benchmark, benchmark_nav
from mg_portfolio.market import Day, MarketPanel

__all__ = ["BacktestResult", "Costs", "MarketPanel", "drift_to", "simulate", "trade"]


def simulate(
    market: MarketPanel,
    decisions: Mapping[Day, np.ndarray],
    start_holdings: np.ndarray | None = None,
    cost: Costs | None = None,
    benchmark: Benchmark = None,
) -> BacktestResult:
    """Run target weights through the market.

    Parameters
    ----------
    market : MarketPanel
    decisions : mapping of day (index or date) to (S,) target weights
        Decided after that day's close, traded the next day. A decision on the panel's last day is not traded.
    start_holdings : (S,) float, optional
        Weights at the close of the panel's first day; where absent the portfolio starts in cash on the first
        decision's day.
    cost : Costs, optional
        Default: series 72's 0.4% two-sided.
    benchmark : optional
        (D,) daily returns of the index (entry t: close t-1 to close t); or (D, S) weights known at each close, held
        for a day; or a mapping of day to (S,) weights, bought at that close free of cost and drifting after.

    Raises
    ------
    BacktestError
        Targets, holdings or benchmark do not fit the panel.
    """
    cost = Costs() if cost is None else cost
    targets = {market.index(day): _target(market, day, w) for day, w in decisions.items()}
    order = sorted(targets)
    if start_holdings is None and not order:
        raise BacktestError("there was neither a decision nor a start holding: nothing to simulate")
    start = order[0] if start_holdings is None else 0
    book = Book(np.zeros(len(market.symbols)), 1.0) if start_holdings is None else book_of(market, start_holdings, 0)

    count = len(market.days) - start
    nav, cash = np.empty(count), np.empty(count)
    holdings = np.empty((count, len(market.symbols)))
    books, book_of_day = [book.units], np.zeros(count, dtype=np.int64)
    fills: list[tuple[int, Fill, float]] = []

    def carry(first: int, after: int) -> None:
        """Value the book on days first..after-1."""
        at = slice(first - start, after - start)
        worth = market.mark[first:after] * book.units  # (days, S)
        nav[at] = worth.sum(axis=1) + book.cash
        cash[at], book_of_day[at] = book.cash, len(books) - 1
        np.divide(worth, nav[at, None], out=holdings[at])

    now = start
    for decided in order:
        if decided + 1 >= len(market.days):
            break
        carry(now, decided + 1)
        now = decided + 1
        planned = float(np.abs(targets[decided] - holdings[decided - start]).sum())
        book, fill = trade(market, book, targets[decided], now, cost)
        books.append(book.units)
        fills.append((decided, fill, planned))
    carry(now, len(market.days))

    index_nav = benchmark_nav(market, benchmark, start)
    bought = [decided + 1 - start for decided, _, _ in fills]
    trades, rebalances = tables(market, fills, (cash / nav)[bought], bought_in=start_holdings is None)
    return BacktestResult(
        days=market.days[start:],
        nav=nav,
        benchmark_nav=index_nav,
        relative_nav=nav / index_nav,
        holdings=holdings,
        cash=cash,
        book_units=np.stack(books),
        book_of_day=book_of_day,
        trades=trades,
        rebalances=rebalances,
    )


def drift_to(
    market: MarketPanel,
    holdings: np.ndarray,
    target: np.ndarray | None,
    decided: Day,
    until: Day,
    cost: Costs | None = None,
) -> np.ndarray:
    """Carry holdings from the close of one decision to the close of a later day.

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
    cost : Costs, optional
        Default: series 72's 0.4% two-sided.

    Returns
    -------
    (S,) float
        Weights at the close of ``until``, the same as :func:`simulate` in one go gives.
    """
    first, last = market.index(decided), market.index(until)
    if last < first:
        raise BacktestError(f"until ({market.days[last]}) was before decided ({market.days[first]})")
    book = book_of(market, holdings, first)
    if target is not None and last > first:
        wanted = _target(market, decided, target)
        book, _ = trade(market, book, wanted, first + 1, Costs() if cost is None else cost)
    worth = book.units * market.mark[last]
    return worth / (worth.sum() + book.cash)


def trade(market: MarketPanel, book: Book, target: np.ndarray, day: int, cost: Costs) -> tuple[Book, Fill]:
    """Fill one day's orders.

    Weights are fractions of the value after costs, which depends on the trades: a fixed point, found to rounding in a
    few rounds because a round shrinks the error by the cost rate. A stock is frozen when its order cannot be filled;
    that moves the others, which may turn a purchase into a sale, so freezing is repeated until no order stands in the
    way.
    """
    last = market.mark[day - 1]
    tradable = market.tradable[day]
    price = np.where(tradable, market.trade_price[day], last)
    worth = book.units * price  # (S,)
    value = float(worth.sum()) + book.cash
    if value <= 0.0:
        raise BacktestError(f"the portfolio was worth {value:.6g} on {market.days[day]}: nothing to trade with")
    reason = np.where(tradable, FILLED, np.where(market.suspended[day], SUSPENDED, NO_PRICE)).astype(np.int8)
    paid_out = np.zeros_like(worth)
    held_cash = book.cash
    if market.listed is not None:
        gone = ~market.listed[day]
        reason[gone] = DELISTED
        paid_out = np.where(gone, worth, 0.0)
        held_cash += float(paid_out.sum())
        worth = np.where(gone, 0.0, worth)

    frozen = ~tradable
    invested = float(target.sum())
    net = value
    while True:
        share = float(target[~frozen].sum())
        kept = float(worth[frozen].sum())
        for _ in range(60):
            room = max(net * invested - kept, 0.0)
            wanted = np.where(frozen, worth, target * (room / share if share > 0.0 else 0.0))
            traded = wanted - worth
            paid = cost.buy * float(traded[traded > 0.0].sum()) - cost.sell * float(traded[traded < 0.0].sum())
            before, net = net, value - paid
            if abs(net - before) <= 1e-16 * value:
                break
        no_buy = ~frozen & market.limit_up[day] & (traded > DUST * value)
        no_sell = ~frozen & market.limit_down[day] & (traded < -DUST * value)
        if not (no_buy.any() or no_sell.any()):
            break
        reason[no_buy], reason[no_sell] = LIMIT_UP, LIMIT_DOWN
        frozen |= no_buy | no_sell

    moved = traded != 0.0
    units = book.units.copy()
    units[moved] = wanted[moved] / price[moved]
    units[paid_out > 0.0] = 0.0
    after = Book(units, held_cash - float(traded.sum()) - paid)
    planned = target - worth / value
    return after, Fill(planned, traded / value, reason, paid_out / value, paid / value, value)


def _target(market: MarketPanel, day: Day, target: np.ndarray) -> np.ndarray:
    """A decision's weights, checked."""
    return checked_weights(market, target, f"target decided on {market.days[market.index(day)]}")
