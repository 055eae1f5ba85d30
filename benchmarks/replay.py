"""Order book replay: events a second of one core, memory, and the agreement on the real days.

Run ``python benchmarks/replay.py [--stocks 100] [--orders 20000] [--data ../shared/data]``. The clock is the process's
own CPU time, best of three, kernels compiled before. Simulated days have snapshots every three seconds with the right
counts and empty books: no state agrees with one, so every candidate is looked at, the dearest case. The real days are
read where the folder of real data is there.
"""

import argparse
import datetime as dt
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.lake.store import Lake
from mg_assets.market.schema import SNAPSHOTS
from mg_assets.replay.agreement import DayReplay, replay, replay_day
from mg_assets.replay.stock import Alignment, no_snapshots, ticks
from mg_assets.replay.walk import FOREVER, replay_stock
from mg_assets.sources import build_source
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings

DAY = dt.date(2023, 2, 1)
REAL = ("2023-02-01", "2023-02-07")
HOLES = {
    "1% of the new orders gone": ("orders", "new", 0.01),
    "0.1% of the new orders gone": ("orders", "new", 0.001),
    "1% of the cancels gone": ("orders", "cancel", 0.01),
    "0.1% of the cancels gone": ("orders", "cancel", 0.001),
    "1% of the trades gone": ("trades", "all", 0.01),
}


def best(run, times: int = 3) -> float:
    run()
    spent = []
    for _ in range(times):
        begin = time.process_time()
        run()
        spent.append(time.process_time() - begin)
    return min(spent)


def hard_snapshots(trades: pd.DataFrame) -> pd.DataFrame:
    """Snapshots with the right number of trades, volume and amount, and nothing in the book."""
    stamps = pd.date_range(f"{DAY} 09:30", f"{DAY} 14:57", freq="3s")
    stamps = stamps[(stamps.strftime("%H:%M") < "11:30") | (stamps.strftime("%H:%M") >= "13:00")]
    parts = []
    for symbol, own in trades.groupby("symbol", sort=True):
        done = own["time"].searchsorted(stamps.to_numpy("datetime64[ms]"))
        volume, amount = (np.r_[0, x.cumsum()] for x in (own["volume"], own["volume"] * own["price"]))
        part = pd.DataFrame({n: 0 for n in SNAPSHOTS.names}, index=range(len(stamps)))
        parts.append(part.assign(symbol=symbol, time=stamps.to_numpy("datetime64[ms]"), num_trades=done,
                                 volume=volume[done], amount=amount[done]))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def simulated(stocks: int, orders: int) -> None:
    exchange = SimulatedExchange(SimulationSettings(stocks=stocks, orders_per_stock=orders, tick_start=DAY))
    tables = {t: exchange.load(t, DAY).frame for t in ("orders", "trades")}
    shown = hard_snapshots(tables["trades"])
    events = len(tables["orders"]) + len(tables["trades"])
    names = tables["orders"]["symbol"].nunique()
    print(f"simulated: {names} stocks, {events / 1e6:.2f} million events, {len(shown) / 1e3:.0f} thousand snapshots")
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for name, frame in tables.items():
            lake.write(name, str(DAY), frame)
        bare = best(lambda: replay_day(lake, str(DAY)))
        lake.write("snapshots", str(DAY), shown)
        full = best(lambda: replay_day(lake, str(DAY)))
    print(f"  from the lake, books alone:        {bare:7.2f} s CPU, {events / bare / 1e6:5.2f} million events/s")
    print(f"  from the lake, against snapshots:  {full:7.2f} s CPU, {events / full / 1e6:5.2f} million events/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory of the process {peak:.0f} MiB, the tables as frames included")


def without(frame: pd.DataFrame, which: str, share: float) -> pd.DataFrame:
    rows = np.ones(len(frame), bool) if which == "all" else (frame["kind"] == "cancel") == (which == "cancel")
    at = np.flatnonzero(rows)
    gone = np.random.default_rng(0).choice(at, max(int(share * len(at)), 1), replace=False)
    return frame.drop(frame.index[gone])


def line(name: str, day: DayReplay) -> None:
    shares = [day.share(f) for f in ("level_1", "levels_2_10", "total_volumes", "everything")]
    print(f"  {name:34s}" + "".join(f"{s:12.3%}" for s in shares))


def real(data: Path) -> None:
    level2 = build_source("tonglian", {"root": str(data), "files": "level2_by_stock"})
    vendor = build_source("snapshots", {"root": str(data), "files": "snapshots_by_stock"})
    for key in REAL:
        day = dt.date.fromisoformat(key)
        sources = {"orders": level2, "trades": level2, "snapshots": vendor}
        tables = {t: s.load(t, day).frame for t, s in sources.items()}
        tables = {t: f[f["symbol"] == "600519.SH"].reset_index(drop=True) for t, f in tables.items()}
        events = len(tables["orders"]) + len(tables["trades"])
        spent = best(lambda t=tables: replay(*t.values()))
        arrow = [pa.Table.from_pandas(tables[t], preserve_index=False) for t in ("orders", "trades")]
        arrays = ticks("600519.SH", *arrow)
        walk = best(lambda a=arrays: replay_stock(*a, *no_snapshots(), True, 0, 10, FOREVER))
        whole = replay(*tables.values())
        stock = whole.by_stock().iloc[0]
        print(f"\n600519.SH {key}: {events:,} events, {stock['snapshots']} snapshots, {spent * 1e3:.0f} ms CPU")
        print(f"  the walk alone: {events / walk / 1e6:.1f} million events/s")
        print(f"  {'':34s}{'level 1':>12s}{'levels 2-10':>12s}{'totals':>12s}{'everything':>12s}")
        line("as it is", whole)
        for before, after in ((1000, 1000), (100, 1000), (0, 1000)):
            line(f"window -{before}..+{after} ms", replay(*tables.values(), alignment=Alignment(before, after)))
        fixed = whole.agreement().query("phase == 'day'").set_index("field")["fixed_share"]
        shares = [fixed[f] for f in ("level_1", "levels_2_10", "total_volumes", "everything")]
        print(f"  {'fixed moment, +500 ms':34s}" + "".join(f"{s:12.3%}" for s in shares))
        levels = [n for n in SNAPSHOTS.names if "_price_" in n or "_volume_" in n or n.startswith("total")]
        shown = tables["snapshots"]
        wrong = shown.assign(**shown[levels].shift(-1).fillna(shown[levels]))
        line("books of the next snapshot", replay(tables["orders"], tables["trades"], wrong))
        for name, (table, which, share) in HOLES.items():
            line(name, replay(*{**tables, table: without(tables[table], which, share)}.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stocks", type=int, default=100)
    parser.add_argument("--orders", type=int, default=20_000)
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MG_SHARED_DATA", beside)))
    chosen = parser.parse_args()
    simulated(chosen.stocks, chosen.orders)
    if chosen.data.is_dir():
        real(chosen.data)
    else:
        print(f"no real data at {chosen.data}; name its folder with --data")


if __name__ == "__main__":
    main()
