"""From target weights to daily net asset value.

The clock of one rebalance:

1. ``decided``, after the close of day T: a target is chosen with what is known then.
2. Day T+1: orders are filled at the day's trade price (:func:`trade`). What cannot trade stays, and the freed or
   missing weight is spread over the rest in proportion. Costs come out of the portfolio's value.
3. From the close of T+1 on, holdings drift with prices until the next trade (:func:`simulate`, :func:`drift_to`).

Between trades nothing changes but prices, so a stretch of days is valued in one matrix product.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_portfolio.costs import Costs
from mg_portfolio.errors import BacktestError
from mg_portfolio.market import Day, MarketPanel

SUM_TOLERANCE = 1e-6
DUST = 1e-12  # traded weight below this is rounding, no order

REASONS = ("", "suspended", "no_price", "limit_up", "limit_down", "delisted")
FILLED, SUSPENDED, NO_PRICE, LIMIT_UP, LIMIT_DOWN, DELISTED = range(len(REASONS))

Benchmark = np.ndarray | Mapping[Day, np.ndarray] | None


@dataclass(frozen=True, eq=False)
class Book:
    """What the portfolio owns: units of each stock (at adjusted prices) and cash."""

    units: np.ndarray  # (S,)
    cash: float

    def value(self, price: np.ndarray) -> float:
        """Worth at the given prices."""
        return float(self.units @ price) + self.cash


@dataclass(frozen=True, eq=False)
class Fill:
    """One day's trading, as fractions of the portfolio's value before it.

    Attributes
    ----------
    planned, filled : (S,) float
        Change of weight that the target asks for at the day's prices, and that was made (payouts apart).
    reason : (S,) int8
        Index into ``REASONS``: why a stock could not trade.
    paid_out : (S,) float
        Weight of delisted holdings turned into cash.
    cost : float
    value : float
        Portfolio's value before trading.
    """

    planned: np.ndarray
    filled: np.ndarray
    reason: np.ndarray
    paid_out: np.ndarray
    cost: float
    value: float


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """Daily account of a simulated portfolio.

    Attributes
    ----------
    days : (T,) datetime64[D]
        From the start (first decision, or the panel's first day with start holdings) to the panel's end.
    nav : (T,) float
        Portfolio's value at the close, 1 on the first day.
    benchmark_nav, relative_nav : (T,) float
        Index, 1 on the first day, and ``nav / benchmark_nav``; NaN without a benchmark.
    holdings : (T, S) float
        Weights at the close; their sum falls short of one by the cash.
    cash : (T,) float
        Cash in units of the first day's value.
    book_units : (R, S) float
        Units of each stock (at adjusted prices) after each trade, the start first.
    book_of_day : (T,) int
        Row of ``book_units`` that was held at the close of each day.
    trades : DataFrame
        One row per order: decided, traded (dates), symbol, side, planned, filled (change of weight), price, reason
        (empty where nothing stood in the way; ``filled`` then differs from ``planned`` by the weight that others left
        over).
    rebalances : DataFrame
        One row per trading day: decided, traded, planned_two_way (target against the holdings at the decision),
        realised_two_way, cost, orders, unfilled, unfilled_weight, cash, initial (bought from cash).
    """

    days: np.ndarray
    nav: np.ndarray
    benchmark_nav: np.ndarray
    relative_nav: np.ndarray
    holdings: np.ndarray
    cash: np.ndarray
    book_units: np.ndarray
    book_of_day: np.ndarray
    trades: pd.DataFrame
    rebalances: pd.DataFrame

    @property
    def units(self) -> np.ndarray:
        """Units of each stock at each close, (T, S): ``nav = sum(units * mark) + cash``."""
        return self.book_units[self.book_of_day]

    @property
    def turnover(self) -> pd.Series:
        """Realised two-way turnover of each rebalance after the first purchase, by trading day."""
        later = self.rebalances[~self.rebalances["initial"]]
        return pd.Series(later["realised_two_way"].to_numpy(), index=pd.DatetimeIndex(later["traded"]))


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
    book = Book(np.zeros(len(market.symbols)), 1.0) if start_holdings is None else _book(market, start_holdings, 0)

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

    index_nav = _benchmark_nav(market, benchmark, start)
    trades, rebalances = _tables(market, fills, cash, nav, start, bought_in=start_holdings is None)
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
    holdings : (S,) float
        Weights at the close of ``decided``, before the decision; what is missing to one is cash.
    target : (S,) float or None
        Decided then, traded the next day; None only drifts.
    decided, until : day
        Index or date; ``until`` not before ``decided``.

    Returns
    -------
    (S,) float
        Weights at the close of ``until``, the same as :func:`simulate` in one go gives.
    """
    first, last = market.index(decided), market.index(until)
    if last < first:
        raise BacktestError(f"until ({market.days[last]}) was before decided ({market.days[first]})")
    book = _book(market, holdings, first)
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
    return _weights(market, target, f"target decided on {market.days[market.index(day)]}")


def _weights(market: MarketPanel, weights: np.ndarray, what: str) -> np.ndarray:
    w = np.array(weights, dtype=np.float64)
    if w.shape != (len(market.symbols),):
        raise BacktestError(f"{what} had shape {w.shape}, expected ({len(market.symbols)},) like the panel's symbols")
    bad = np.flatnonzero(~(w >= -DUST))
    if len(bad):
        raise BacktestError(f"{what} was {w[bad[0]]!r} for {market.symbols[bad[0]]}, expected a weight of 0 or more")
    if w.sum() > 1.0 + SUM_TOLERANCE:
        raise BacktestError(f"{what} summed to {w.sum():.8g}, expected at most 1")
    w[w < DUST] = 0.0
    total = w.sum()
    return w / total if abs(total - 1.0) <= SUM_TOLERANCE else w


def _book(market: MarketPanel, holdings: np.ndarray, day: int) -> Book:
    """Units and cash that have these weights, and the value one, at the close of a day."""
    w = _weights(market, holdings, f"holdings on {market.days[day]}")
    price = market.mark[day]
    unpriced = np.flatnonzero((w > 0.0) & (price <= 0.0))
    if len(unpriced):
        raise BacktestError(
            f"{market.symbols[unpriced[0]]} was held on {market.days[day]} but had no price up to then "
            f"({len(unpriced)} such stocks): begin the panel earlier or carry the close of halted stocks forward"
        )
    return Book(np.divide(w, price, out=np.zeros_like(w), where=price > 0.0), 1.0 - float(w.sum()))


def _benchmark_nav(market: MarketPanel, benchmark: Benchmark, start: int) -> np.ndarray:
    """Index value from ``start`` on, 1 there."""
    count = len(market.days) - start
    if benchmark is None:
        return np.full(count, np.nan)
    if isinstance(benchmark, Mapping):
        return _drifting_index(market, benchmark, start)
    given = np.asarray(benchmark, dtype=np.float64)
    if given.shape == (len(market.days), len(market.symbols)):
        returns = _daily_index_returns(market, given, start)
    elif given.shape == (len(market.days),):
        returns = given[start + 1 :]
    else:
        raise BacktestError(
            f"benchmark had shape {given.shape}, expected ({len(market.days)},) returns or "
            f"({len(market.days)}, {len(market.symbols)}) weights"
        )
    bad = np.flatnonzero(~np.isfinite(returns))
    if len(bad):
        raise BacktestError(f"benchmark had no return on {market.days[start + 1 + bad[0]]}: the index needs every day")
    return np.concatenate([[1.0], np.cumprod(1.0 + returns)])


def _daily_index_returns(market: MarketPanel, weights: np.ndarray, start: int) -> np.ndarray:
    """Returns of weights reset at each close."""
    w = np.nan_to_num(weights[start:-1])
    total = w.sum(axis=1)
    if (total <= 0.0).any():
        raise BacktestError(f"benchmark weights were all zero on {market.days[start + int(np.argmin(total))]}")
    before, after = market.mark[start:-1], market.mark[start + 1 :]
    growth = np.divide(after, before, out=np.ones_like(before), where=before > 0.0)
    return (w * growth).sum(axis=1) / total - 1.0


def _drifting_index(market: MarketPanel, schedule: Mapping[Day, np.ndarray], start: int) -> np.ndarray:
    """Weights bought at the close of their days without cost, drifting in between."""
    weights = {market.index(day): w for day, w in schedule.items()}
    order = sorted(weights)
    known = [d for d in order if d <= start]
    if not known:
        raise BacktestError(f"benchmark weights began after {market.days[start]}, where the portfolio starts")
    order = [known[-1], *(d for d in order if d > start)]
    nav = np.empty(len(market.days) - known[-1])
    level = 1.0
    for i, day in enumerate(order):
        after = order[i + 1] + 1 if i + 1 < len(order) else len(market.days)
        book = _book(market, weights[day], day)
        at = slice(day - known[-1], after - known[-1])
        nav[at] = level * (market.mark[day:after] @ book.units + book.cash)
        level = nav[after - 1 - known[-1]]
    nav = nav[start - known[-1] :]
    return nav / nav[0]


def _tables(
    market: MarketPanel,
    fills: list[tuple[int, Fill, float]],
    cash: np.ndarray,
    nav: np.ndarray,
    start: int,
    bought_in: bool,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trades and rebalances as frames."""
    parts: list[pd.DataFrame] = []
    lines = []
    for i, (decided, fill, planned) in enumerate(fills):
        day = decided + 1
        asked = (np.abs(fill.planned) > DUST) | (np.abs(fill.filled) > DUST)
        at = np.flatnonzero(asked | (fill.paid_out > 0.0))
        paid = fill.paid_out[at] > 0.0
        change = np.where(paid, -fill.paid_out[at], fill.filled[at])
        wish = np.where(paid, -fill.paid_out[at], fill.planned[at])
        parts.append(
            pd.DataFrame(
                {
                    "decided": market.days[decided],
                    "traded": market.days[day],
                    "symbol": market.symbols[at],
                    "side": np.where(
                        paid, "payout", np.where(np.where(change != 0.0, change, wish) > 0.0, "buy", "sell")
                    ),
                    "planned": wish,
                    "filled": change,
                    "price": np.where(market.tradable[day, at], market.trade_price[day, at], market.mark[decided, at]),
                    "reason": np.asarray(REASONS, dtype=object)[fill.reason[at]],
                }
            )
        )
        stuck = (fill.reason != FILLED) & asked & (fill.paid_out == 0.0)
        lines.append(
            {
                "decided": market.days[decided],
                "traded": market.days[day],
                "planned_two_way": planned,
                "realised_two_way": float(np.abs(fill.filled).sum()),
                "cost": fill.cost,
                "orders": int(asked.sum()),
                "unfilled": int(stuck.sum()),
                "unfilled_weight": float(np.abs(fill.planned[stuck]).sum()),
                "cash": float(cash[day - start] / nav[day - start]),
                "initial": bought_in and i == 0,
            }
        )
    columns = ["decided", "traded", "symbol", "side", "planned", "filled", "price", "reason"]
    trades = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return trades, pd.DataFrame(lines, columns=_REBALANCE_COLUMNS)


_REBALANCE_COLUMNS = [
    "decided",
    "traded",
    "planned_two_way",
    "realised_two_way",
    "cost",
    "orders",
    "unfilled",
    "unfilled_weight",
    "cash",
    "initial",
]
