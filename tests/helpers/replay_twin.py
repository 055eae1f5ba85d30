"""Order books by definition, in plain Python, and snapshots from the simulated exchange's own matching book."""

import datetime as dt

import numpy as np
import pandas as pd

from mg_assets.market.schema import SNAPSHOTS
from mg_assets.sources.simulated.auction import uncross
from mg_assets.sources.simulated.day_plan import DayPlan
from mg_assets.sources.simulated.intraday_layer import simulate_day
from mg_assets.sources.simulated.matching_book import (
    BUY,
    DEPTH,
    EMPTY,
    FILLS,
    LEFT,
    LIMIT,
    MARKET,
    ORDERS,
    OWN_BEST,
    SELL,
    enter,
    new_matching_book,
    withdraw,
)
from mg_assets.sources.simulated.settings import SimulationSettings

KINDS = {"limit": LIMIT, "market": MARKET, "own_best": OWN_BEST}
LOW, HIGH, PREVIOUS = 900, 1100, 1000  # ticks of the limits and of the previous close
SECOND = 1000
OPENING, OPEN, NOON, AFTERNOON, CLOSING, CLOSE = (
    int(pd.Timedelta(t).total_seconds()) * SECOND
    for t in ("09:15:00", "09:30:00", "11:30:00", "13:00:00", "14:57:00", "15:00:00")
)
CONTINUOUS = ((OPEN, NOON), (AFTERNOON, CLOSING))


def simulated_day(date: dt.date, orders: int = 1200) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Orders and trades of two Shenzhen and two Shanghai stocks."""
    symbols = np.array(["000001.SZ", "000002.SZ", "600000.SH", "600001.SH"], object)
    n = len(symbols)
    plan = DayPlan(
        date=date, symbols=symbols, prev_close=np.full(n, PREVIOUS / 100), up_limit=np.full(n, HIGH / 100),
        down_limit=np.full(n, LOW / 100), open=np.array([10.02, 9.95, 10.02, 10.1]),
        close=np.array([10.2, 9.8, 9.9, 10.4]), volume=np.full(n, 20_000_000), volatility=np.full(n, 0.02),
        alpha=np.linspace(-2, 2, n), suspended=np.zeros(n, bool), one_word=np.zeros(n, bool), lot=np.full(n, 100),
        board=np.full(n, "main", object), float_shares=np.full(n, 1e9), st=np.zeros(n, bool),
    )  # fmt: skip
    return simulate_day(plan, SimulationSettings(orders_per_stock=orders))


def day_ms(times: pd.Series) -> np.ndarray:
    """Milliseconds of the day."""
    stamps = times.to_numpy("datetime64[ms]")
    return (stamps - stamps.astype("datetime64[D]")).astype(np.int64)


def indicative(bids: dict[int, int], asks: dict[int, int], middle: bool, target: int):
    """A call auction's price, volume and what is left over (positive: bids), by the rules' text; prices in ticks.

    Every price of the day's range is tried; ``middle`` keeps to the prices that have orders.
    """
    best, tied = None, []
    for p in sorted(set(bids) | set(asks)) if middle else range(LOW, HIGH + 1):
        demand, supply = (sum(v for q, v in s.items() if f(q, p)) for s, f in ((bids, int.__ge__), (asks, int.__le__)))
        volume = min(demand, supply)
        if volume == 0 or demand - bids.get(p, 0) > volume or supply - asks.get(p, 0) > volume:
            continue  # some better order would not trade
        worth = (volume, -abs(demand - supply))
        if best is None or worth > best:
            best, tied = worth, []
        if worth == best:
            tied.append(p)
    if best is None:
        return None
    price = int(np.floor((tied[0] + tied[-1]) / 2 + 0.5)) if middle else min(tied, key=lambda p: abs(p - target))
    demand, supply = (sum(v for q, v in s.items() if f(q, price)) for s, f in ((bids, int.__ge__), (asks, int.__le__)))
    return price, best[0], demand - supply


class Exchange:
    """The simulated exchange's matching book, fed with the orders of one stock alone."""

    def __init__(self, orders: pd.DataFrame, trades: pd.DataFrame):
        self.middle = orders["symbol"].iloc[0].endswith("SH")
        self.book = new_matching_book(int((orders["kind"] != "cancel").sum()), HIGH - LOW + 1)
        self.slots: dict[int, int] = {}
        self.events = list(zip(day_ms(orders["time"]), orders.itertuples(index=False), strict=True))
        auction = trades[trades["side"] == 0]
        at = day_ms(auction["time"])
        self.prints = [int(at[at < OPEN].min()), int(at[at > CLOSING].min())]
        self.next = 0

    def advance(self, time: int) -> None:
        """Everything that happens up to a moment."""
        while True:
            due = self.events[self.next][0] if self.next < len(self.events) else 1 << 60
            if self.prints and self.prints[0] <= time and self.prints[0] <= due:
                before = self.prints.pop(0)
                uncross(self.book, PREVIOUS - LOW)
                assert before > 0
            elif due <= time:
                self._order(due, self.events[self.next][1])
                self.next += 1
            else:
                return

    def _order(self, time: int, row) -> None:
        if row.kind == "cancel":
            withdraw(self.book, self.slots[row.order_id])  # nothing where a remainder was killed on entry
            return
        matching = any(a <= time < b for a, b in CONTINUOUS)
        tick = EMPTY if np.isnan(row.price) else round(row.price * 100) - LOW
        self.slots[row.order_id] = int(self.book.state[ORDERS])
        enter(self.book, BUY if row.side > 0 else SELL, KINDS[row.kind], tick, row.volume, matching)

    def depths(self) -> tuple[dict[int, int], dict[int, int]]:
        """Shares resting by price in ticks, bids and asks."""
        both = []
        for side in (BUY, SELL):
            level = self.book.levels[side, :, DEPTH]
            at = np.flatnonzero(level)
            both.append(dict(zip((at + LOW).tolist(), level[at].tolist(), strict=True)))
        return both[0], both[1]

    def snapshot(self, call: bool) -> dict[str, object]:
        """What the exchange would show now."""
        bids, asks = self.depths()
        fills = self.book.fills[: self.book.state[FILLS]]
        shown: dict[str, object] = {
            "num_trades": len(fills),
            "volume": int(fills[:, 3].sum()),
            "amount": float(((fills[:, 2] + LOW) * fills[:, 3]).sum()) / 100,
            "last": (fills[-1, 2] + LOW) / 100 if len(fills) else np.nan,
            "total_bid_volume": 0 if call else sum(bids.values()),
            "total_ask_volume": 0 if call else sum(asks.values()),
        }
        ladders = {"bid": sorted(bids.items(), reverse=True)[:10], "ask": sorted(asks.items())[:10]}
        if call:
            last = int(fills[-1, 2]) + LOW if len(fills) else PREVIOUS
            found = indicative(bids, asks, self.middle, last)
            ladders = {"bid": [], "ask": []}
            if found is not None:
                price, volume, rest = found
                ladders = {s: [(price, volume), (None, max(d * rest, 0))] for s, d in (("bid", 1), ("ask", -1))}
        for side, levels in ladders.items():
            for n in range(10):
                price, volume = levels[n] if n < len(levels) else (None, 0)
                shown[f"{side}_price_{n + 1}"] = np.nan if price is None else price / 100
                shown[f"{side}_volume_{n + 1}"] = volume
        return shown


def exact_snapshots(orders: pd.DataFrame, trades: pd.DataFrame, every: int = 9, seed: int = 1) -> pd.DataFrame:
    """Snapshots of every stock, stamped in whole seconds and taken at some moment of that second."""
    rng = np.random.default_rng(seed)
    day = orders["time"].iloc[0].normalize()
    rows = []
    for symbol, own in orders.groupby("symbol", sort=True):
        done = trades[trades["symbol"] == symbol]
        exchange = Exchange(own, done)
        prints = list(exchange.prints)
        for stamp in range(OPENING, CLOSE + 60 * SECOND, every * SECOND):
            if NOON < stamp < AFTERNOON:
                continue
            moment = stamp + int(rng.integers(0, SECOND))
            exchange.advance(moment)
            call = moment < prints[0] or CLOSING <= moment < prints[1]
            stamped = {"symbol": symbol, "time": day + pd.Timedelta(stamp, "ms")}
            rows.append({**stamped, **exchange.snapshot(call)})
        exchange.advance(1 << 50)
        assert exchange.book.state[FILLS] == len(done)  # the orders alone make the day's trades
        assert not exchange.book.orders[: exchange.book.state[ORDERS], LEFT].min() < 0
    frame = pd.DataFrame(rows)[SNAPSHOTS.names]
    return frame.astype({"time": "datetime64[ms]"})


def naive_books(orders: pd.DataFrame, trades: pd.DataFrame) -> list[tuple[int, dict, dict, bool]]:
    """One stock's books after each event: time, bids, asks (price to shares), whether an exchange could show it.

    The rules of :mod:`mg_assets.replay.book` with dicts: an order's shares are in the book from its own event on, but
    never those of an order that is still trading.
    """
    events = sorted(
        [(r.seq, 0, r) for r in orders.itertuples(index=False)]
        + [(r.seq, 1, r) for r in trades.itertuples(index=False)],
        key=lambda e: e[:2],
    )
    left: dict[int, int] = {}
    price: dict[int, float] = {}
    side: dict[int, int] = {}
    out, trading = [], None

    def book(which: int) -> dict[float, int]:
        found: dict[float, int] = {}
        for number, shares in left.items():
            if shares > 0 and side[number] == which and number in price and number != trading:
                found[price[number]] = found.get(price[number], 0) + shares
        return found

    for k, (_, is_trade, r) in enumerate(events):
        if is_trade:
            left[r.buy_order] -= r.volume
            left[r.sell_order] -= r.volume
            active = r.buy_order if r.side > 0 else r.sell_order
            if r.side != 0 and active not in price:
                market_price = r.price
        elif r.kind == "cancel":
            left[r.order_id] -= r.volume
        else:
            left[r.order_id], side[r.order_id] = r.volume, r.side
            if r.kind == "limit":
                price[r.order_id] = r.price
            elif r.kind == "own_best":
                own = book(r.side)
                if own:
                    price[r.order_id] = max(own) if r.side > 0 else min(own)
            trading = r.order_id
        following = events[k + 1] if k + 1 < len(events) else None
        if following is not None and following[1] and following[2].side != 0:
            f = following[2]
            if (f.buy_order if f.side > 0 else f.sell_order) == trading:
                out.append((r.time, book(1), book(-1), False))
                continue
        if trading is not None and trading not in price and left[trading] > 0 and is_trade:
            withdrawn = following is not None and not following[1] and following[2].kind == "cancel"
            if not (withdrawn and following[2].order_id == trading):
                price[trading] = market_price
        trading = None
        out.append((r.time, book(1), book(-1), True))
    return out
