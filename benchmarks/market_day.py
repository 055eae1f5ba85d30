"""A market's day from raw vendor files to factors, in CPU seconds; ten years of 1,000 stocks from measured days.

    python benchmarks/market_day.py [--days 3] [--copies 2] [--folder DIR] [--page docs/performance.md]

1. Each day is simulated on its own (about 5 million trades and orders), exported as Tonglian (DataYes) level-2 files
   with the exchanges' publication rules, and its rows repeated ``--copies`` times under new codes (20: a full-market
   day of 100 million rows, 8 GB); none of that is measured.
2. One process a day, after a tiny day for warming up, makes the lake's tables with the graph's own asset functions:
   ``read`` (vendor files to checked, restored and sorted trades and orders), ``write`` (both to Parquet, piece by piece
   as they are read), ``bars`` (minute bars from the lake's trades, and daily ones, written), ``factors`` (the 34
   factors from the lake's files, written). In the same process before it, pyarrow's CSV reader parses the same files,
   block by block, and drops what it read: the floor of *read* and *write* together.
3. Figures are CPU seconds (user and system, all threads) per million rows: the medians over the days, times 100 for a
   full-market day (5,000 stocks, 100 million trades and orders); times 20 (20,000 rows a stock, as on such a day) and
   the number of trading days for ten years of 1,000 stocks. ``--copies 1 4`` measures two sizes, which shows
   whether time grows with the rows alone.
"""

import argparse
import datetime as dt
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from peers.report import machine, put

from mg_assets.market.calendar import trading_days

HERE = Path(__file__).parent
STAGES = ("read", "write", "bars", "factors")
FULL_DAY = 100  # million rows
STOCKS, TEN_YEARS = 1_000, ("2014-01-01", "2023-12-31")
MILLION_PER_STOCK = 0.02

EXPORT = """
import datetime as dt, sys
from pathlib import Path
from peers import market
from mg_assets.sources.simulated.export import export_tonglian
folder, day, tiny = Path(sys.argv[1]), dt.date.fromisoformat(sys.argv[2]), sys.argv[3] == "tiny"
trades, orders = market.one_set(*((40_000, 1_500) if tiny else ()), day=day)
tables, stocks = market.repeated(trades, orders, 1, bars=False)
del trades, orders
export_tonglian(tables.pop("orders").to_pandas(), tables.pop("trades").to_pandas(), day, folder)
"""

COPY = """
import sys
from pathlib import Path
from peers.raw_files import multiply
multiply(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""

RUN = """
import json, sys, tempfile, time
from pathlib import Path
import pyarrow as pa
from pyarrow import csv
from mg_assets.assets import make as make_table
from mg_assets.sources.base import StreamedDay
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.lake.store import Lake
from peers.contestant import cpu, peak_mb

def parsed(raw):  # CPU seconds of pyarrow's parsing alone
    began = cpu()
    for file in sorted(Path(raw).rglob("*.csv")):
        with open(file, encoding="utf-8-sig") as lines:  # some files' rows end in a comma, their header does not
            names, first = (next(lines).rstrip().split(",") for _ in range(2))
        names += ["end"] * (len(first) - len(names))
        prices = {n: pa.float64() for n in names if any(word in n for word in ("Price", "Px", "Money"))}
        read = csv.ReadOptions(block_size=8 << 20, skip_rows=1, column_names=names)
        with csv.open_csv(file, read, convert_options=csv.ConvertOptions(column_types=prices)) as reader:
            for _ in reader:
                pass
    return cpu() - began

def day(raw, key, folder):
    lake, source, spent = Lake(folder), TonglianSource(raw), {}

    def stage(name, began):
        spent[name] = [spent.get(name, [0, 0])[i] + now - then for i, (now, then) in enumerate(zip(clock(), began))]

    clock = lambda: (cpu(), time.perf_counter())
    elsewhere = [0, 0]

    def timed(parts):  # pieces are read while they are written: their reading is not the writer's time
        parts = iter(parts)
        while True:
            began = clock()
            part = next(parts, None)
            for i, (now, then) in enumerate(zip(clock(), began)):
                elsewhere[i] += now - then
            if part is None:
                return
            yield part

    for table, make, write in (
        ("reference", None, None), ("trades", "read", "write"), ("minute_bars", "bars", "bars"),
        ("daily_bars", "bars", "bars"), ("intraday_factors", "factors", "factors"),
    ):
        began = clock()
        for built in make_table(table, [key], lake, source):
            if make:
                stage(make, began)
            began, elsewhere[:] = clock(), (0, 0)
            pieces = isinstance(built.frame, StreamedDay)
            lake.write(built.table or table, built.key, timed(built.frame) if pieces else built.frame)
            if write:
                stage(write, began)
                spent[write] = [a - b for a, b in zip(spent[write], elsewhere)]
                if pieces:
                    spent[make] = [a + b for a, b in zip(spent[make], elsewhere)]
            del built
            began = clock()
    rows = {t: lake.table(t, key, ["seq"]).num_rows for t in ("trades", "orders")}
    return {"stages": spent, "rows": rows, "stocks": len(lake.day("intraday_factors", key, ["symbol"]))}

raw, warm, key = sys.argv[1:]
with tempfile.TemporaryDirectory(prefix="mg-market-day-") as folder:
    day(warm, key, folder + "/warm")
    parse = parsed(raw)
    found = day(raw, key, folder + "/lake")
print(json.dumps({**found, "parse": parse, "peak_mb": peak_mb()}))
"""


def stamp() -> str:
    """Changes with the code that makes the vendor files."""
    from mg_assets.sources.simulated import export

    sources = (HERE / "peers" / "market.py", HERE / "peers" / "raw_files.py", Path(export.__file__))
    return hashlib.blake2b(b"".join(s.read_bytes() for s in sources), digest_size=4).hexdigest()


def script(code: str, *arguments: object) -> str:
    """Run Python code in a process of its own; its last line of output."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=HERE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"a step failed with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    return (done.stdout.splitlines() or [""])[-1]


def exported(folder: Path, day: dt.date, copies: int) -> Path:
    """Vendor files of a day, made where they are not there; 0 copies is a tiny day."""
    raw = folder / stamp() / f"{day}_{copies}"
    if not (raw / "done").exists():
        raw.mkdir(parents=True, exist_ok=True)
        if copies > 1:
            script(COPY, exported(folder, day, 1), raw, copies)
        else:
            script(EXPORT, raw, day, "whole" if copies else "tiny")
        (raw / "done").touch()
    return raw


def measure(folder: Path, days: list[dt.date], copies: int) -> list[dict]:
    """One run a day."""
    runs = []
    for day in days:
        raw, warm = exported(folder, day, copies), exported(folder, day, 0)
        run = json.loads(script(RUN, raw, warm, day))
        run["day"], run["million"] = str(day), sum(run["rows"].values()) / 1e6
        run["raw_mb"] = sum(f.stat().st_size for f in raw.rglob("*.csv")) / 1e6
        print(f"  {run}", file=sys.stderr, flush=True)
        runs.append(run)
    return runs


def rates(runs: list[dict]) -> dict[str, float]:
    """CPU seconds per million rows of each stage, medians over the days."""
    return {s: statistics.median(r["stages"][s][0] / r["million"] for r in runs) for s in STAGES}


def tables(by_copies: dict[int, list[dict]]) -> list[str]:
    """Lines of the report."""
    lines = [
        "| measured day | stocks | million rows | raw files, MB | read | write | bars | factors | CPU, s | wall, s | "
        "peak, MiB | pyarrow parses | read + write, times it |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for runs in by_copies.values():
        for r in runs:
            each = [r["stages"][s] for s in STAGES]
            lines.append(
                f"| {r['day']} | {r['stocks']:,} | {r['million']:.2f} | {r['raw_mb']:,.0f} | "
                f"{' | '.join(f'{c:.2f}' for c, _ in each)} | {sum(c for c, _ in each):.2f} | "
                f"{sum(w for _, w in each):.2f} | {r['peak_mb']:,.0f} | {r['parse']:.2f} | "
                f"{(each[0][0] + each[1][0]) / r['parse']:.2f} |"
            )
    lines += ["", "| CPU seconds | read | write | bars | factors | all |", "|---|---:|---:|---:|---:|---:|"]
    for runs in by_copies.values():
        rate = rates(runs)
        size = statistics.median(r["million"] for r in runs)
        lines.append(_line(f"per million rows, days of {size:.0f} million", rate, 1))
    rate = rates(by_copies[max(by_copies)])
    spread = [sum(r["stages"][s][0] for s in STAGES) / r["million"] for r in by_copies[max(by_copies)]]
    days = len(trading_days(*TEN_YEARS))
    largest = statistics.median(r["million"] for r in by_copies[max(by_copies)])
    how = f"at the rate of days of {largest:.0f} million"
    lines.append(_line(f"full-market day, {FULL_DAY} million rows, {how}", rate, FULL_DAY))
    hours = {s: v * STOCKS * MILLION_PER_STOCK * days / 3600 for s, v in rate.items()}
    lines.append(_line(f"{days:,} days of {STOCKS:,} stocks, **hours** (extrapolated)", hours, 1))
    if len(spread) > 1:
        said = f"from {min(spread):.3f} to {max(spread):.3f} s per million rows"
        lines += ["", f"All stages together, the days differ {said}."]
    return lines


def _with_kept(file: Path, found: dict[int, list[dict]]) -> dict[int, list[dict]]:
    """Runs of this call and those of earlier calls, by copies: a full-market day is measured on its own."""
    with open(file, "a") as out:
        for copies, runs in found.items():
            out.writelines(json.dumps({"copies": copies, **r}) + "\n" for r in runs)
    every: dict[int, list[dict]] = {}
    for run in map(json.loads, file.read_text().splitlines()):
        every.setdefault(run["copies"], []).append(run)
    return dict(sorted(every.items()))


def _line(name: str, rate: dict[str, float], times: float) -> str:
    cells = [rate[s] * times for s in STAGES]
    form = "{:.3f}" if sum(cells) < 10 else "{:.1f}"
    return f"| {name} | {' | '.join(form.format(c) for c in [*cells, sum(cells)])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument(
        "--copies", type=int, nargs="+", default=[1, 2], help="each about 5 million rows; 20: 100 million, 8 GB"
    )
    parser.add_argument("--folder", type=Path, help="where the vendor files stay (default: a temporary folder)")
    parser.add_argument("--kept", type=Path, help="JSON lines of runs: those measured are added, all are reported")
    parser.add_argument("--page", type=Path, help="Markdown page whose part 'market day' is replaced")
    args = parser.parse_args()
    days = [d.item() for d in trading_days("2023-02-01")[: args.days]]
    with tempfile.TemporaryDirectory(prefix="mg-benchmark-") as temporary:
        folder = args.folder or Path(temporary)
        found = {copies: measure(folder, days, copies) for copies in sorted(args.copies)}
    if args.kept:
        found = _with_kept(args.kept, found)
    text = "\n".join([f"{machine('pyarrow', 'numba', 'pandas')}.", "", *tables(found)])
    print(text)
    if args.page:
        put(args.page, "market day", text)


if __name__ == "__main__":
    main()
