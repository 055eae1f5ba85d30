"""The book against a naive twin, and the auction price against brute force."""

from bisect import insort

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.errors import DataError
from mg_assets.sources.simulated.auction import auction_price, process_events, uncross
from mg_assets.sources.simulated.matching_book import (
    BEST_ASK,
    BEST_BID,
    BUY,
    CANCEL,
    DEPTH,
    EMPTY,
    FILLS,
    LEFT,
    LIMIT,
    MARKET,
    OWN_BEST,
    SELL,
    TICK,
    UNCROSS,
    enter,
    new_matching_book,
    withdraw,
)

TICKS = 12


class TwinBook:
    """The same exchange with sorted Python lists: a list of (priority key, order) per side."""

    def __init__(self, ticks):
        self.ticks = ticks
        self.queue = ([], [])
        self.left, self.side, self.fills = [], [], []

    def key(self, side, tick, order):
        return (-tick if side == BUY else tick, order)

    def enter(self, side, kind, tick, volume, matching):
        order = len(self.left)
        self.left.append(0)
        self.side.append(side)
        own, other = self.queue[side], self.queue[1 - side]
        if kind != LIMIT and not matching:
            return volume
        if kind == MARKET:
            tick = self.ticks - 1 if side == BUY else 0
        if kind == OWN_BEST:
            if not own:
                return volume
            tick = abs(own[0][0])
        if not 0 <= tick < self.ticks:
            return volume
        while matching and kind != OWN_BEST and volume and other:
            price, maker = abs(other[0][0]), other[0][1]
            if (side == BUY and price > tick) or (side == SELL and price < tick):
                break
            traded = min(volume, self.left[maker])
            pair = (order, maker) if side == BUY else (maker, order)
            self.fills.append((*pair, price, traded, 1 if side == BUY else -1))
            volume -= traded
            self.left[maker] -= traded
            if not self.left[maker]:
                other.pop(0)
        if kind == MARKET:
            return volume
        if volume:
            self.left[order] = volume
            insort(own, self.key(side, tick, order))
        return 0

    def cancel(self, order):
        volume, self.left[order] = self.left[order], 0
        side = self.side[order]
        self.queue[side][:] = [k for k in self.queue[side] if k[1] != order]
        return volume

    def prices(self):
        """Every tick with its executable volume, imbalance and whether better prices fill completely."""
        bids = [(-k[0], self.left[k[1]]) for k in self.queue[BUY]]
        asks = [(k[0], self.left[k[1]]) for k in self.queue[SELL]]
        for p in range(self.ticks):
            demand, supply = sum(v for t, v in bids if t >= p), sum(v for t, v in asks if t <= p)
            volume = min(demand, supply)
            better = sum(v for t, v in bids if t > p) <= volume and sum(v for t, v in asks if t < p) <= volume
            yield p, volume, abs(demand - supply), better

    def auction_price(self, reference):
        candidates = [(-v, i, abs(p - reference), -p) for p, v, i, better in self.prices() if v and better]
        return -min(candidates)[3] if candidates else EMPTY

    def uncross(self, reference):
        price = self.auction_price(reference)
        if price == EMPTY:
            return
        bids, asks = self.queue
        while bids and asks and -bids[0][0] >= price >= asks[0][0]:
            buy, sell = bids[0][1], asks[0][1]
            traded = min(self.left[buy], self.left[sell])
            self.fills.append((buy, sell, price, traded, 0))
            for order, queue in ((buy, bids), (sell, asks)):
                self.left[order] -= traded
                if not self.left[order]:
                    queue.pop(0)

    def run(self, events):
        out = []
        for kind, side, tick, volume, matching in events:
            if kind == CANCEL:
                out.append(self.cancel(tick) if 0 <= tick < len(self.left) else 0)
            elif kind == UNCROSS:
                self.uncross(tick)
                out.append(0)
            else:
                out.append(self.enter(side, kind, tick, volume, matching))
        return out


def run(events, ticks=TICKS):
    kind, side, tick, volume, matching = (np.array(c) for c in zip(*events, strict=True))
    book = new_matching_book(len(events), ticks)
    killed, fills = np.zeros(len(events), np.int64), np.zeros(len(events), np.int64)
    process_events(
        book,
        kind.astype(np.int8),
        side.astype(np.int8),
        tick.astype(np.int64),
        volume.astype(np.int64),
        matching.astype(bool),
        killed,
        fills,
    )
    return book, killed, [tuple(f) for f in book.fills[: book.state[FILLS]].tolist()]


def random_events(rng, n, auction):
    """An opening auction of `auction` events, its uncross, then a continuous session."""
    events, orders = [], 0
    for i in range(n):
        if i == auction:
            events.append((UNCROSS, 0, int(rng.integers(0, TICKS)), 0, True))
        if orders and rng.random() < 0.3:
            events.append((CANCEL, 0, int(rng.integers(0, orders)), 0, True))
            continue
        kind = LIMIT if i < auction else int(rng.choice([LIMIT, MARKET, OWN_BEST], p=[0.85, 0.1, 0.05]))
        events.append(
            (kind, int(rng.integers(0, 2)), int(rng.integers(0, TICKS)), int(rng.integers(1, 9)) * 100, i >= auction)
        )
        orders += 1
    events.append((UNCROSS, 0, int(rng.integers(0, TICKS)), 0, True))
    return events


@pytest.mark.parametrize("seed", range(30))
def test_twin_makes_the_same_fills(seed):
    rng = np.random.default_rng(seed)
    events = random_events(rng, 400, auction=60)
    twin = TwinBook(TICKS)
    expected = twin.run(events)
    book, killed, fills = run(events)
    assert fills == twin.fills
    assert killed.tolist() == expected
    assert book.orders[: len(twin.left), LEFT].tolist() == twin.left


LIMITS = st.tuples(st.just(LIMIT), st.integers(0, 1), st.integers(0, TICKS - 1), st.integers(1, 30), st.booleans())
ANY_EVENT = st.one_of(
    LIMITS,
    st.tuples(st.sampled_from([MARKET, OWN_BEST]), st.integers(0, 1), st.just(0), st.integers(1, 30), st.booleans()),
    st.tuples(st.just(CANCEL), st.just(0), st.integers(0, 10), st.just(0), st.just(True)),
)


def only_after_auction(events):
    """Auction events first, then the uncross, then the continuous ones; cancels name earlier orders."""
    ordered = sorted(events, key=lambda e: e[4])
    cut = sum(not e[4] for e in ordered)
    ordered.insert(cut, (UNCROSS, 0, 5, 0, True))
    out, orders = [], 0
    for e in ordered:
        if e[0] == CANCEL:
            if e[2] < orders:
                out.append(e)
            continue
        orders += e[0] != UNCROSS
        out.append(e)
    return out


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_EVENT, max_size=40).map(only_after_auction))
def test_invariants_of_any_flow(events):
    twin = TwinBook(TICKS)
    twin.run(events)
    book, killed, fills = run(events)
    assert fills == twin.fills

    entered = [(side, volume) for kind, side, _, volume, _ in events if kind not in (CANCEL, UNCROSS)]
    filled = np.zeros(len(entered), int)
    for buy, sell, tick, volume, _side in fills:
        assert 0 <= buy < len(entered)
        assert 0 <= sell < len(entered)
        assert entered[buy][0] == BUY
        assert entered[sell][0] == SELL
        assert volume > 0
        assert 0 <= tick < TICKS
        filled[[buy, sell]] += volume
        for order, better in ((buy, 1), (sell, -1)):  # never worse than the order's own price
            limit = book.orders[order, TICK]
            assert limit == EMPTY or (limit - tick) * better >= 0
    gone = np.zeros(len(entered), int)
    orders = 0
    for (kind, _, tick, _, _), volume in zip(events, killed, strict=True):
        if kind == CANCEL:
            gone[tick] += volume
        elif kind != UNCROSS:
            gone[orders] += volume
            orders += 1
    left = book.orders[: len(entered), LEFT]
    assert (filled + gone + left).tolist() == [v for _, v in entered]
    assert book.state[BEST_BID] < book.state[BEST_ASK]
    for side in (BUY, SELL):
        resting = np.zeros(TICKS, int)
        for order, (s, _) in enumerate(entered):
            if s == side and left[order]:
                resting[book.orders[order, TICK]] += left[order]
        assert book.levels[side, :, DEPTH].tolist() == resting.tolist()
        occupied = np.flatnonzero(resting)
        best = book.state[BEST_BID + side]
        if occupied.size:
            assert best == (occupied[-1] if side == BUY else occupied[0])
        else:
            assert best == (EMPTY if side == BUY else TICKS)


@settings(max_examples=200, deadline=None)
@given(st.lists(LIMITS, max_size=25), st.integers(-3, TICKS + 3))
def test_auction_price_is_the_best_of_all_prices(orders, reference):
    book, twin = new_matching_book(30, TICKS), TwinBook(TICKS)
    for _, side, tick, volume, _ in orders:
        enter(book, side, LIMIT, tick, volume, False)
        twin.enter(side, LIMIT, tick, volume, False)
    price = auction_price(book, reference)
    assert price == twin.auction_price(reference)
    volumes = {p: v for p, v, *_ in twin.prices()}
    if price == EMPTY:
        assert not any(volumes.values())
        return
    assert volumes[price] == max(volumes.values())
    uncross(book, reference)
    assert book.fills[: book.state[FILLS], 3].sum() == volumes[price]
    assert set(book.fills[: book.state[FILLS], 4]) == {0}


def test_price_then_time():
    book = new_matching_book(10, TICKS)
    for tick, volume in ((6, 100), (5, 200), (5, 300), (7, 100)):
        enter(book, SELL, LIMIT, tick, volume, True)
    enter(book, BUY, LIMIT, 6, 650, True)
    fills = book.fills[: book.state[FILLS]].tolist()
    assert fills == [[4, 1, 5, 200, 1], [4, 2, 5, 300, 1], [4, 0, 6, 100, 1]]
    assert book.orders[4, LEFT] == 50
    assert (book.state[BEST_BID], book.state[BEST_ASK]) == (6, 7)


def test_killed_orders_stay_killed():
    book = new_matching_book(10, TICKS)
    enter(book, SELL, LIMIT, 5, 100, True)
    assert enter(book, BUY, MARKET, 0, 250, True) == 150
    assert enter(book, BUY, OWN_BEST, 0, 100, True) == 100  # no bid to join
    assert withdraw(book, 1) == 0
    enter(book, SELL, LIMIT, 0, 400, True)
    assert book.state[FILLS] == 1
    assert book.state[BEST_BID] == EMPTY
    assert withdraw(book, 3) == 400
    assert withdraw(book, 3) == 0
    assert book.state[BEST_ASK] == TICKS


def test_orders_outside_the_limits_are_killed():
    book = new_matching_book(4, TICKS)
    assert enter(book, BUY, LIMIT, TICKS, 100, True) == 100
    assert enter(book, SELL, LIMIT, -1, 100, True) == 100
    assert book.state[FILLS] == 0


def test_empty_book_needs_room():
    with pytest.raises(DataError, match="orders=0"):
        new_matching_book(0, 10)
