"""``make cluster-demo``: several machines on this one, and whether they make the same lake as one machine.

It starts PostgreSQL, an S3-compatible server, a Ray cluster of two nodes, Dagster's daemon and the web server, each on
loopback ports of its own and with its files in a temporary folder; starts a backfill as the UI does, through the web
server's GraphQL; builds the same partitions with ``mg run`` in a folder; compares every file byte for byte; and ends
all of it, also on Ctrl-C and after an error. Nothing outside the temporary folder is written.
"""

import argparse
import json
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from local_cluster import OPEN, BackfillError, Cluster, Stages, build_locally, differences, in_folder, market

RAW = ("reference", "planted_signal", "trades", "orders")
"""They read no other table: two backfills make half of the days each, at the same time."""
REST = (
    *("minute_bars", "daily_bars", "intraday_factors", "features_day", "features_60m", "features_30m"),
    *("daily_factors", "common_factors", "labels"),
)
TABLES = (*RAW, *REST)
FIRST = "2023-01-03"
COUNTS = ("Materialized", "Targeted", "Failed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 where both lakes are equal, 1 where they are not, 2 where something is absent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=6, help="trading days, from 2023-01-03 on (6)")
    parser.add_argument("--stocks", type=int, default=10, help="simulated stocks (10)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder with all logs")
    chosen = parser.parse_args(arguments)
    return in_folder("cluster-demo", chosen.keep, lambda folder: demonstrate(folder, chosen.days, chosen.stocks))


def demonstrate(folder: Path, count: int, stocks: int) -> int:
    """Start everything, backfill, build the same on one machine, and compare."""
    from mg_assets.market.calendar import trading_days

    stages = Stages()
    days = [str(day) for day in trading_days(FIRST)[:count]]
    print(f"{len(TABLES)} tables of {len(days)} days {days[0]}..{days[-1]}, {stocks} simulated stocks")
    with Cluster(folder, market(days, stocks), stages) as cluster:
        half = len(days) // 2
        with stages.stage("two backfills of raw tables through the web server, half of the days each"):
            backfill(cluster, RAW, days[:half], days[half:])
        with stages.stage("backfill of the tables that read them"):
            backfill(cluster, REST, days)
        show_nodes(cluster.env["MG_RAY"])
        with stages.stage("the same with mg run, on one machine"):
            lake = build_locally(cluster)
        with stages.stage("comparison"):
            found = differences(cluster.env, lake, TABLES, days)
    for (table, day), how in list(found.items())[:20]:
        print(f"{table} {day}: {how}")
    total = len(TABLES) * len(days)
    print(f"{total - len(found)} of {total} partitions are equal byte for byte; all servers are stopped")
    return 1 if found else 0


def backfill(cluster: Cluster, tables: Sequence[str], *spans: Sequence[str]) -> None:
    """Start a backfill for each span of days, and wait until all have completed."""
    made = [cluster.launch({table: [(days[0], days[-1])] for table in tables}) for days in spans]
    shown, found = "", [cluster.progress(one) for one in made]
    while any(one["status"] in OPEN for one in found):
        time.sleep(1)
        found = [cluster.progress(one) for one in made]
        counts = [c for one in found for c in (one["assetBackfillData"] or {}).get("assetBackfillStatuses", [])]
        done, wanted, failed = (sum(c.get(f"numPartitions{n}", 0) for c in counts) for n in COUNTS)
        states = ", ".join(
            f"{n} {s.lower()}" for s, n in Counter(r["status"] for o in found for r in o["runs"]).items()
        )
        line = f"          {done} of {wanted} partitions, {failed} failed; runs: {states or 'none yet'}"
        if line != shown:
            print(line, flush=True)
        shown = line
    for one in found:
        if one["status"] != "COMPLETED_SUCCESS" or not all(run["status"] == "SUCCESS" for run in one["runs"]):
            why = (one["error"] or {}).get("message", "a run failed")
            raise BackfillError(f"the backfill ended as {one['status']}: {why.splitlines()[0]}")


def show_nodes(jobs: str) -> None:
    """Print how many runs each node of the Ray cluster had."""
    with urllib.request.urlopen(f"{jobs}/api/jobs/", timeout=30) as answer:
        nodes = Counter(job["driver_agent_http_address"] for job in json.load(answer))
    print(f"          runs by node: {', '.join(str(count) for _, count in sorted(nodes.items()))}")


if __name__ == "__main__":
    sys.exit(main())
