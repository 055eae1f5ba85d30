"""One contestant on one day in a process of its own: ``python -m peers.contestant NAME DAY WARM RESULT``.

The same call runs first on a tiny day, which loads and compiles what there is to compile; then the day is measured:
CPU seconds (user and system, all threads of the process), wall seconds, and the process's peak resident memory from
its start (imports and warm-up in it). Prints one line of JSON; the factors go to RESULT as Parquet.
"""

import gc
import importlib
import json
import resource
import sys
import time
from pathlib import Path

CALLS = {
    "mg": ("peers.fused", "factors"),
    "polars": ("peers.polars_day", "factors"),
    "polars_whole": ("peers.polars_day", "whole"),
    "duckdb": ("peers.duckdb_day", "factors"),
    "pandas": ("peers.pandas_day", "factors"),
    "floor": ("peers.floor", "factors"),
    "floor_default": ("peers.floor", "of_default_layout"),
}
TABLES = ("trades", "orders", "minute_bars")


def paths_of(day: Path) -> dict[str, str]:
    """Files of a day in a lake of one day."""
    return {table: str(next((day / table).glob("date=*/part.parquet"))) for table in TABLES}


def peak_mb() -> float:
    """Peak resident memory of this process, MiB."""
    try:
        # ru_maxrss may be inherited from the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1]) / 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1024)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def save(factors: object, path: str) -> None:
    """Write any of the frames as Parquet."""
    if hasattr(factors, "write_parquet"):
        factors.write_parquet(path)
    elif hasattr(factors, "to_parquet"):
        factors.to_parquet(path)
    else:
        import pyarrow.parquet as pq

        pq.write_table(factors, path)


def main() -> None:
    name, day, warm, result = sys.argv[1:]
    module, call = CALLS[name]
    factors = getattr(importlib.import_module(module), call)
    day_paths, warm_paths = paths_of(Path(day)), paths_of(Path(warm))
    factors(warm_paths)
    gc.collect()
    before, cpu_before, began = peak_mb(), cpu(), time.perf_counter()
    found = factors(day_paths)
    wall, used, peak = time.perf_counter() - began, cpu() - cpu_before, peak_mb()
    save(found, result)
    print(json.dumps({"cpu": used, "wall": wall, "peak_mb": peak, "before_mb": before}))


if __name__ == "__main__":
    main()
