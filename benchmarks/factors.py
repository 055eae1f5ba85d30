"""The 34 intraday factors of a day's Parquet files: the fused pass beside polars, DuckDB, pandas and the floor.

    python benchmarks/factors.py --rows 5 50 100 [--folder DIR] [--repeat 3] [--page docs/performance.md]

``--rows`` counts trades and orders together, in millions. All contestants read the same files, written by
``Lake.write``, and make the same 34 factors; the floor is pyarrow reading the columns that these need and no more. Each
run is a fresh process that first does a tiny day (imports and kernel compilation are not in the figures); contestants
take turns, and a figure is the median of its runs. The numbers must agree first: every contestant's factors are held
against the fused pass's to 1e-9 relative or 1e-12 absolute, NaN for NaN, on every size, or the benchmark ends.

Days are made by the simulated exchange: one set of about 5 million rows, repeated under new symbols (peers/market.py).
They stay in ``--folder`` (default: a temporary folder, deleted at the end), about 9 bytes a row.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from peers.contestant import paths_of
from peers.report import machine, put

from mg_assets.factors import ALL34

HERE = Path(__file__).parent
CONTESTANTS = ("floor", "floor_default", "mg", "polars", "polars_whole", "duckdb", "pandas")
NAMES = {
    "mg": "fused pass",
    "polars": "Polars, 250 stocks at a time",
    "polars_whole": "Polars, the day at once",
    "duckdb": "DuckDB",
    "pandas": "pandas",
    "floor": "floor: pyarrow reads the columns",
    "floor_default": "the same from files in pyarrow's default layout",
}
MB_PER_MILLION = {"pandas": 170}
"""What a contestant was seen to need; sizes that would not fit ``--memory-gb`` are left out."""

LONG = 30
"""CPU seconds above which a contestant is not run again."""

MAKE = """
import sys
from pathlib import Path
from peers import floor, market
from mg_assets.lake.store import Lake
import pyarrow.parquet as pq
folder, million = Path(sys.argv[1]), float(sys.argv[2])
tiny = million == 0
kept = [folder / f"set_{'tiny' if tiny else 'full'}_{t}.parquet" for t in ("trades", "orders")]
if not all(k.exists() for k in kept):
    frames = market.one_set(*((40_000, 1_500) if tiny else ()))
    for frame, place in zip(frames, kept, strict=True):
        frame.to_parquet(place)
trades, orders = (pq.read_table(k).to_pandas() for k in kept)
copies = 1 if tiny else max(1, round(million * 1e6 / market.SET_ROWS))
tables, stocks = market.repeated(trades, orders, copies)
del trades, orders
lake = Lake(folder / sys.argv[3])
for name in list(tables):
    rows = tables.pop(name)
    place = Path(floor.default_layout(lake.write(name, str(market.DAY), rows), name))
    place.parent.mkdir(exist_ok=True)
    pq.write_table(rows, place)
"""


def stamp() -> str:
    """Changes with the code that makes the files."""
    from mg_assets.lake import parquet_layout as storage
    from mg_assets.lake import store
    from mg_assets.market import schema

    sources = (HERE / "peers" / "market.py", *(Path(m.__file__) for m in (store, storage, schema)))
    return hashlib.blake2b(b"".join(s.read_bytes() for s in sources), digest_size=4).hexdigest()


def day_of(folder: Path, million: float) -> Path:
    """The lake of one day with so many rows, made where it is not there."""
    day = folder / stamp() / (f"rows_{million:g}M" if million else "warm")
    if not (day / "done").exists():
        day.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-c", MAKE, str(day.parent), str(million), day.name], check=True, cwd=HERE)
        (day / "done").touch()
    return day


def run(name: str, day: Path, warm: Path, result: Path) -> dict[str, float]:
    """One contestant's run in a process of its own."""
    command = [sys.executable, "-m", "peers.contestant", name, str(day), str(warm), str(result)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed on {day.name} with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def values(path: Path) -> tuple[list[str], np.ndarray]:
    """Symbols ascending, and their 34 factors ``(S, 34)``; null as NaN."""
    table = pq.read_table(path).sort_by("symbol")
    columns = [table[n].to_numpy().astype(float) for n in ALL34]
    return [str(s) for s in table["symbol"].to_pylist()], np.stack(columns, axis=1)


def compare(ours: Path, theirs: Path, name: str) -> float:
    """Largest difference relative to the tolerance; ends the benchmark where it is beyond 1."""
    (symbols, x), (others, y) = values(ours), values(theirs)
    if symbols != others:
        raise SystemExit(f"{name} has {len(others)} stocks, the fused pass {len(symbols)}")
    allowed = np.maximum(1e-9 * np.abs(x), 1e-12)
    off = np.where(np.isnan(x) & np.isnan(y), 0.0, np.abs(x - y) / allowed)
    off[np.isnan(off)] = np.inf
    if off.max() > 1:
        s, f = np.unravel_index(off.argmax(), off.shape)
        raise SystemExit(
            f"{name} disagrees in {int((off > 1).sum())} values, most in {ALL34[f]} of {symbols[s]}: "
            f"{y[s, f]!r}, fused pass {x[s, f]!r}"
        )
    return float(off.max())


def measure(day: Path, warm: Path, names: list[str], repeat: int, folder: Path) -> dict[str, dict[str, float]]:
    """Medians of each contestant's runs, taken in turns."""
    runs: dict[str, list[dict[str, float]]] = {n: [] for n in names}
    for turn in range(repeat):
        for name in names:
            if turn and runs[name][0]["cpu"] > LONG:
                continue
            result = folder / f"{name}.parquet"
            runs[name].append(run(name, day, warm, result))
            if turn == 0 and not name.startswith(("mg", "floor")):
                off = compare(folder / "mg.parquet", result, NAMES[name])
                print(f"  {NAMES[name]} agrees: {off:.1g} of the tolerance", file=sys.stderr, flush=True)
            print(f"  {name} {runs[name][-1]}", file=sys.stderr, flush=True)
    return {n: {k: statistics.median(r[k] for r in rs) for k in rs[0]} for n, rs in runs.items()}


def describe(day: Path) -> str:
    """Stocks, rows and bytes of a day."""
    paths = paths_of(day)
    files = {t: pq.ParquetFile(p) for t, p in paths.items()}
    rows = {t: f.metadata.num_rows for t, f in files.items()}
    size = {t: Path(p).stat().st_size for t, p in paths.items()}
    return (
        f"{rows['trades'] + rows['orders']:,} rows: {rows['trades']:,} trades ({size['trades'] / rows['trades']:.1f} "
        f"bytes each), {rows['orders']:,} orders ({size['orders'] / rows['orders']:.1f}), "
        f"{rows['minute_bars'] // 240:,} stocks, {files['trades'].num_row_groups} and "
        f"{files['orders'].num_row_groups} row groups"
    )


def table(found: dict[str, dict[str, float]], left_out: dict[str, str]) -> list[str]:
    """Lines of one size's table."""
    lines = [
        "| contestant | CPU, s | wall, s | peak memory, MiB | CPU / floor | CPU of Polars / its own |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in CONTESTANTS:
        if name in found:
            r = found[name]
            of_polars = f"{found['polars']['cpu'] / r['cpu']:.1f}" if "polars" in found else ""
            of_floor = f"{r['cpu'] / found['floor']['cpu']:.2f}" if "floor" in found else ""
            lines.append(
                f"| {NAMES[name]} | {r['cpu']:.2f} | {r['wall']:.2f} | {r['peak_mb']:,.0f} | {of_floor} | {of_polars} |"
            )
        elif name in left_out:
            lines.append(f"| {NAMES[name]} | {left_out[name]} | | | | |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="+", default=[5.0], help="millions of trades and orders")
    parser.add_argument("--folder", type=Path, help="where the days stay (default: a temporary folder)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--memory-gb", type=float, default=6.0, help="contestants known to need more are left out")
    parser.add_argument("--page", type=Path, help="Markdown page whose part 'factors' is replaced")
    args = parser.parse_args()
    names = [n for n in CONTESTANTS if n in {*args.only, "mg"}]
    parts = [
        f"{machine('pyarrow', 'numba', 'polars', 'duckdb', 'pandas')}; medians of {args.repeat} runs "
        f"(one where a run takes over {LONG} s)."
    ]
    with tempfile.TemporaryDirectory(prefix="mg-benchmark-") as temporary:
        folder = args.folder or Path(temporary)
        warm = day_of(folder, 0)
        for million in args.rows:
            day = day_of(folder, million)
            print(describe(day), file=sys.stderr, flush=True)
            need = {n: MB_PER_MILLION.get(n, 0) * million / 1024 for n in names}
            left_out = {
                n: f"left out: needs about {gb:.0f} GiB, allowed are {args.memory_gb:g}"
                for n, gb in need.items()
                if gb > args.memory_gb
            }
            taking_part = [n for n in names if n not in left_out]
            found = measure(day, warm, taking_part, args.repeat, Path(temporary))
            parts += ["", f"**{million:g} million** ({describe(day)})", "", *table(found, left_out)]
    text = "\n".join(parts)
    print(text)
    if args.page:
        put(args.page, "factors", text)


if __name__ == "__main__":
    main()
