"""A small lake in which every rule holds: 24 stocks, 44 sessions, ticks to weights."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from mg_assets import factors
from mg_assets.factors.registry import ALL34, HF27
from mg_assets.lake.store import SEALED_FILE, Lake
from mg_assets.market.calendar import month_of, trading_days, week_of
from mg_assets.market.schema import INDICES, REFERENCE
from mg_assets.quality.suites import PREDICTION_TABLES

DAYS = trading_days("2020-03-02", "2020-04-30").astype(str)  # 43 sessions of nine weeks
SYMBOLS = (
    [f"{i:06d}.SZ" for i in range(1, 9)]
    + [f"{600000 + i}.SH" for i in range(12)]
    + [f"{688001 + i}.SH" for i in range(4)]
)
TRADES = 40
TRADING = np.r_[34_260.0:41_340.0, 46_860.0:53_760.0][np.linspace(0, 13_979, 6480).astype(int)]  # seconds, to 14:56
NAME = "csi500_turnover30"


def reference_of(day: str, close: np.ndarray) -> pd.DataFrame:
    n = len(SYMBOLS)
    frame = pd.DataFrame({c: pd.Series([None] * n, dtype="object") for c in REFERENCE.names})
    frame["symbol"] = SYMBOLS
    frame["list_date"] = pd.Timestamp("2010-01-04").date()
    frame["industry"] = [f"industry{i % 3}" for i in range(n)]
    limit = np.where([s.startswith("688") for s in SYMBOLS], 0.2, 0.1)
    frame["prev_close"], frame["adj_factor"], frame["float_shares"] = close, 1.0, 1e8
    frame["up_limit"], frame["down_limit"] = np.round(close * (1 + limit), 2), np.round(close * (1 - limit), 2)
    frame["suspended"] = [i == 5 for i in range(n)]
    frame["st"] = False
    for k, index in enumerate(INDICES):
        member = np.arange(n) % 3 == k
        frame[f"{index}_member"] = member
        frame[f"{index}_weight"] = member / member.sum()
    return frame


def ticks_of(day: str, reference: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each trade is an order that rests and, half a second later, one that takes it; each tenth order is cancelled."""
    trades, orders = [], []
    midnight = pd.Timestamp(day)
    for row in reference[~reference["suspended"]].itertuples():
        times = np.sort(rng.choice(TRADING, TRADES - 2, replace=False))
        times = np.r_[9 * 3600 + 25 * 60, times, 15 * 3600]
        price = np.round(row.prev_close * (1 + np.cumsum(rng.normal(0, 0.002, TRADES)).clip(-0.04, 0.04)), 2)
        volume = 100 * rng.integers(2, 30, TRADES)
        seq = 0
        for j, (t, p, v) in enumerate(zip(times, price, volume, strict=True)):
            auction = j in (0, TRADES - 1)
            side = 1 if rng.random() < 0.5 else -1
            stamp = midnight + pd.Timedelta(seconds=float(t))
            entered = stamp - pd.Timedelta(seconds=60) if auction else stamp
            orders.append(
                (row.symbol, entered - pd.Timedelta(milliseconds=500), seq + 1, seq + 1, -side, p, v, "limit")
            )
            kind = "market" if j % 7 == 3 else "limit"
            orders.append((row.symbol, entered, seq + 2, seq + 2, side, None if kind == "market" else p, v + 100, kind))
            ids = (seq + 2, seq + 1) if side > 0 else (seq + 1, seq + 2)
            trades.append((row.symbol, stamp, seq + 3, p, v, *ids, 0 if auction else side))
            if j % 10 == 4:
                orders.append((row.symbol, entered, seq + 4, seq + 2, side, None, 100, "cancel"))
            seq += 4
    names = ["symbol", "time", "seq"]
    return (
        pd.DataFrame(orders, columns=[*names, "order_id", "side", "price", "volume", "kind"]),
        pd.DataFrame(trades, columns=[*names, "price", "volume", "buy_order", "sell_order", "side"]),
    )


def factor_values(rng: np.random.Generator, names: tuple[str, ...], rows: int) -> pd.DataFrame:
    return pd.DataFrame({n: rng.uniform(0.05, 0.95, rows) for n in names})


def section(rng: np.random.Generator, names: tuple[str, ...]) -> pd.DataFrame:
    values = factors.zscore(rng.normal(size=(len(SYMBOLS), len(names))))
    return pd.DataFrame({"symbol": SYMBOLS, **dict(zip(names, values.T, strict=True))})


def weights_of(reference: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The benchmark plus a small long-short tilt inside one industry, held as it was."""
    bench = reference["csi500_weight"].to_numpy(float)
    member = bench > 0
    tilt = np.zeros(len(bench))
    first = np.flatnonzero(member)[:2]
    tilt[first] = [0.004, -0.004]
    return pd.DataFrame(
        {
            "symbol": SYMBOLS, "score": rng.normal(size=len(bench)), "benchmark": bench, "holdings": bench,
            "weight": bench + tilt, "member": member, "industry": reference["industry"],
            "size": rng.normal(size=len(bench)), "suspended": reference["suspended"].to_numpy(bool),
            "limit_up": False, "limit_down": False,
        }
    )  # fmt: skip


WEIGHT_FACTS = {
    "decided": "2020-03-06", "traded": "2020-03-09", "status": "optimal", "relaxed": {}, "largest_violation": 1e-12,
    "limits": {"stock": 0.008, "members": 0.8, "industry": 0.02, "size": 0.2, "turnover": 0.3},
}  # fmt: skip


def build(root: Path) -> Lake:
    lake = Lake(root)
    rng = np.random.default_rng(7)
    close = np.round(rng.uniform(8, 40, len(SYMBOLS)), 2)
    daily = {}
    for day in DAYS:
        reference = reference_of(day, close)
        orders, trades = ticks_of(day, reference, rng)
        minutes = factors.bars_from_trades(trades, reference.set_index("symbol")["prev_close"])
        daily[day] = factors.daily_from_minutes(minutes, reference)
        for table, frame in (
            ("reference", reference), ("trades", trades), ("orders", orders), ("minute_bars", minutes),
            ("daily_bars", daily[day]),
        ):  # fmt: skip
            lake.write(table, day, frame)
        close = daily[day].set_index("symbol")["close"].reindex(SYMBOLS).to_numpy()
        lake.write("planted_signal", day, pd.DataFrame({"symbol": SYMBOLS, "signal": rng.normal(size=len(SYMBOLS))}))
        traded = [s for i, s in enumerate(SYMBOLS) if i != 5]
        raw = factor_values(rng, ALL34, len(traded))
        raw.insert(0, "symbol", traded)
        lake.write("intraday_factors", day, raw)
        lake.write("factor_inputs", day, section(rng, HF27))
        lake.write("factor_scores", day, section(rng, ALL34))
        returns = {f"ret_{h}": rng.normal(0, 0.03, len(SYMBOLS)) for h in (5, 10, 20)}
        lake.write("labels", day, pd.DataFrame({"symbol": SYMBOLS, **returns}))
        for table in PREDICTION_TABLES:
            lake.write(table, day, pd.DataFrame({"symbol": SYMBOLS, "score": rng.normal(size=len(SYMBOLS))}))
    _periods(lake, daily)
    for week in np.unique(week_of(DAYS).astype(str)):
        lake.write(f"weights_{NAME}", week, weights_of(reference_of(week, close), rng), WEIGHT_FACTS)
    return lake


def _periods(lake: Lake, daily: dict[str, pd.DataFrame]) -> None:
    for table, periods in (("weekly_bars", week_of(DAYS)), ("monthly_bars", month_of(DAYS))):
        for key in np.unique(periods.astype(str)):
            inside = [daily[d].assign(date=d) for d in DAYS[periods.astype(str) == key]]
            lake.write(table, key, factors.period_bars(pd.concat(inside)))


@pytest.fixture(scope="session")
def clean(tmp_path_factory, worker_id) -> Lake:
    """The lake in which every rule holds; read only."""
    if worker_id == "master":
        return build(tmp_path_factory.mktemp("clean") / "lake")
    shared = tmp_path_factory.getbasetemp().parent / "clean"  # of all test processes: the first one makes it
    with FileLock(f"{shared}.lock"):
        if not (shared / "finished").exists():
            build(shared / "lake")
            (shared / "finished").touch()
    return Lake(shared / "lake")


@pytest.fixture(scope="session")
def to_break(clean, tmp_path_factory) -> Lake:
    return linked(clean, tmp_path_factory.mktemp("to_break") / "lake")


@pytest.fixture
def lake(clean, to_break) -> Lake:
    """A copy to break: hard links, since a write replaces a file and never changes one; whole again for each test."""
    restored(Path(clean.root), Path(to_break.root))
    return Lake(to_break.root)


def restored(source: Path, target: Path) -> None:
    """Take out of a linked copy what a test wrote, and link again what it replaced or removed."""
    expected, found = ({e.path[len(str(r)) :]: e.inode() for e in _files(r)} for r in (source, target))
    for name in found.keys() - expected.keys() - {f"/{SEALED_FILE}"}:
        Path(f"{target}{name}").unlink()
    for name in (n for n in expected if found.get(n) != expected[n]):
        place = Path(f"{target}{name}")
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(f"{source}{name}", place)
    (target / SEALED_FILE).unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield entry


def linked(source: Lake, target: Path) -> Lake:
    shutil.copytree(source.root, target, copy_function=os.link)
    (target / SEALED_FILE).unlink(missing_ok=True)  # a lake of an older version may hold files of other writers
    return Lake(target)


@pytest.fixture(scope="module")
def scratch(clean, tmp_path_factory) -> Lake:
    """A copy that all tests of a file share."""
    return linked(clean, tmp_path_factory.mktemp("scratch") / "lake")


def break_each(source: Lake, place: Path, table: str, breaks: dict, keys=None) -> dict:
    """Break one partition for each entry, run the suite once, and return the outcomes' bad rows by entry."""
    from mg_assets.quality import run_suite

    lake = linked(source, place)
    chosen = dict(zip(breaks, list(DAYS[12:]) if keys is None else keys, strict=False))
    assert len(chosen) == len(breaks), "more breaks than partitions"
    for name, key in chosen.items():
        changed = breaks[name][0](lake.day(table, key))
        changes = {} if len(breaks[name]) < 3 else breaks[name][2]
        store(lake, table, key, changed, {**lake.metadata(table, key), **changes})
    outcomes = run_suite(table, lake, list(chosen.values()))
    found: dict[str, list] = {name: [] for name in breaks}
    for outcome in outcomes:
        for row in outcome.bad:
            name = next(n for n, k in chosen.items() if k == row["partition"])
            found[name].append({"check": outcome.name, "blocking": outcome.blocking, **row})
    return found


def store(lake: Lake, table: str, key: str, frame: pd.DataFrame, metadata: dict | None = None) -> None:
    """Write a partition whatever its schema, as a foreign writer would."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        lake.write(table, key, frame, metadata or None)
    except ValueError:
        part = pa.Table.from_pandas(frame, preserve_index=False)
        part = part.replace_schema_metadata({"mg": json.dumps(metadata or {}, default=str)})
        os.unlink(lake.path(table, key))  # a hard link: never written through
        pq.write_table(part, lake.path(table, key))


@pytest.fixture(scope="session")
def broken(clean, tmp_path_factory):
    """``broken(table, breaks)``: what each break of a table is reported as."""

    def run(table: str, breaks: dict, keys=None) -> dict:
        return break_each(clean, tmp_path_factory.mktemp(table) / "lake", table, breaks, keys)

    return run
