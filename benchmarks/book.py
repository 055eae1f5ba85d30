"""Events a second of the simulated exchange's order book on one core.

Run ``python benchmarks/book.py [events of a stock-day]``. The flow is a random walk of quotes with 40% cancels and
25% orders that trade on arrival, over 2,000 price levels, made before the clock starts; the clock is the process's
own, best of five.
"""

import sys
import time

import numpy as np

from mg_assets.sources.simulated.auction import process_events
from mg_assets.sources.simulated.matching_book import BUY, CANCEL, LIMIT, MARKET, new_matching_book, reset


def random_flow(events: int, ticks: int, seed: int = 7) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    middle = np.clip(ticks // 2 + np.cumsum(rng.normal(0, 0.3, events)), 50, ticks - 50)
    side = rng.integers(0, 2, events).astype(np.int8)
    away = np.where(rng.random(events) < 0.35, -1, rng.geometric(0.25, events))
    tick = np.rint(middle + np.where(side == BUY, -away, away)).astype(np.int64)
    kind = np.full(events, LIMIT, np.int8)
    kind[rng.random(events) < 0.04] = MARKET
    cancels = rng.random(events) < 0.4
    cancels[:100] = False
    kind[cancels] = CANCEL
    entered = np.cumsum(~cancels)
    recent = (entered[cancels] - rng.geometric(0.02, cancels.sum())).clip(0)
    tick[cancels] = recent
    volume = 100 * rng.geometric(0.2, events)
    return kind, side, tick, volume.astype(np.int64), np.ones(events, bool)


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    days, ticks = max(1, 2_000_000 // events), 2_000
    flow = random_flow(events, ticks)
    killed, fills = np.zeros(events, np.int64), np.zeros(events, np.int64)
    book = new_matching_book(events, ticks)
    process_events(book, *(a[:1000] for a in flow), killed, fills)  # compiles
    best = np.inf
    for _ in range(5):
        begin = time.process_time()
        for _ in range(days):
            reset(book, ticks)
            process_events(book, *flow, killed, fills)
        best = min(best, time.process_time() - begin)
    rate = events * days / best / 1e6
    print(f"{days} stock-days of {events:,} events, {fills[-1]:,} fills each: {rate:.1f} million events/s of one core")


if __name__ == "__main__":
    main()
