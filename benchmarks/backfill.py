"""A year of daily partitions backfilled through the UI's own API, against a plain loop over the same library calls.

    python benchmarks/backfill.py [--stocks 200] [--orders 1500] [--year 2022] [--look-back] [--single-run]

Starts the web server and the daemon on a new lake, asks for the backfill with the GraphQL mutation that the UI's
"Materialize" button sends, waits until the runs have ended, and counts them. The loop calls the same asset functions
and quality suites, table by table, on a second new lake in a process of its own. Times are wall seconds. The
backfill's run from the mutation's answer to the end of the last run: the daemon's look at new backfills (every 30 s, a
constant of Dagster's, so 0-30 s of waiting whatever the size), the queue, the start of the run process (imports), the
steps and Dagster's bookkeeping. The daemon is up and healthy before the clock starts, the kernels are compiled.

With --single-run the range is launched as the UI does when "Single run" is chosen in its dialog: at once, as one run,
without the daemon's look.

The tables are all that a day's ticks and reference data alone decide; with --look-back also those that read other
days, which Dagster asks for in a second run, and for the days after the year as well, which look back into it.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
TABLES = ("trades", "orders", "reference", "minute_bars", "daily_bars", "intraday_factors")
TABLES += ("features_day", "features_60m", "features_30m", "planted_signal", "factor_inputs")
LOOK_BACK = ("features_240m", "factor_scores")

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
RUN = """
query Run($id: ID!) { runOrError(runId: $id) { ... on Run { runId status creationTime startTime endTime } } }
"""
HEALTH = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"
MUTATION = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs(limit: 100) { runId status creationTime startTime endTime } }
    ... on PythonError { message }
  }
}
"""

LOOP = """
import sys, time
from mg_assets.assets import ASSET_OF, TABLES, make
from mg_assets.quality import run_suite
from mg_assets.settings import settings
from mg_assets.sources import build_source
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
began = time.monotonic()
lake = Lake(settings().lake_url)
source = build_source(settings().source.kind, settings().source.options)
keys = [str(d) for d in trading_days(sys.argv[1], sys.argv[2])]
for table in sys.argv[3].split(","):
    if table != ASSET_OF[table].tables[0]:
        continue  # made with another: orders with trades, features with factors
    for built in make(table, keys, lake, source, settings().worker_count):
        name = built.table or table
        kept = TABLES.provenance(lake, name, built.key)
        lake.write(name, built.key, built.frame, kept)
    for name in ASSET_OF[table].tables:
        run_suite(name, lake, keys)
print("SECONDS", time.monotonic() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stocks", type=int, default=200)
    parser.add_argument("--orders", type=int, default=1500)
    parser.add_argument("--year", type=int, default=2022)
    parser.add_argument("--look-back", action="store_true", help=f"also {' and '.join(LOOK_BACK)}")
    parser.add_argument("--single-run", action="store_true", help="launch the range as the UI's single run")
    parser.add_argument("--repeat", type=int, default=1, help="pairs of loop and backfill")
    chosen = parser.parse_args()
    first, last = f"{chosen.year}-01-01", f"{chosen.year}-12-31"
    with tempfile.TemporaryDirectory(prefix="mg-backfill-") as folder:
        plain_loop(Path(folder), chosen, first, f"{chosen.year}-01-10")  # kernels compiled, files in the page cache
    for pair in range(chosen.repeat):
        folder = Path(tempfile.mkdtemp(prefix="mg-backfill-"))
        try:
            loop = plain_loop(folder, chosen, first, last)
            wall, runs, parts = backfill(folder, chosen, first, last)
            days = len(list((folder / "ui" / "trades").glob("date=*")))
            print(
                f"pair {pair + 1}: {days} days x {len(tables(chosen))} tables, {chosen.stocks} stocks, "
                f"{chosen.orders} orders a stock and day: loop {loop:.1f} s, backfill {wall:.1f} s in {runs} run(s), "
                f"ratio {wall / loop:.2f}; "
                f"until the run is asked for {parts[0]:.1f} s, queue and start {parts[1]:.1f} s, "
                f"runs {parts[2]:.1f} s (ratio {parts[2] / loop:.2f})",
                flush=True,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def tables(chosen: argparse.Namespace) -> tuple[str, ...]:
    return TABLES + (LOOK_BACK if chosen.look_back else ())


def environment(folder: Path, name: str, chosen: argparse.Namespace) -> dict[str, str]:
    source = {"kind": "simulated", "stocks": chosen.stocks, "orders_per_stock": chosen.orders}
    return {
        **os.environ,
        "MG_SETTINGS": str(CHECKOUT / "deploy" / "demo.yaml"),
        "MG_LAKE": str(folder / name),
        "MG_SOURCE": json.dumps(source),
        "DAGSTER_HOME": str(folder / name / ".dagster"),
        "DAGSTER_EVENT_BATCH_SIZE": "500",
    }


def plain_loop(folder: Path, chosen: argparse.Namespace, first: str, last: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", LOOP, first, last, ",".join(tables(chosen))],
        env=environment(folder, "loop", chosen),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return float(done.stdout.rsplit("SECONDS", 1)[1])


def backfill(
    folder: Path, chosen: argparse.Namespace, first: str, last: str
) -> tuple[float, int, tuple[float, float, float]]:
    env = environment(folder, "ui", chosen)
    subprocess.run([sys.executable, "-m", "mg_assets.cli.main", "home"], env=env, cwd=CHECKOUT, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "dagster"),
            "dev",
            "-w",
            "workspace.yaml",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ],
        env=env,
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}/graphql"
        wait_for(url)
        days = partition_names(url, first, last)
        began = time.time()
        launched = single_run if chosen.single_run else backfill_runs
        runs = launched(url, tables(chosen), days)
        ended = max(r["endTime"] for r in runs)
        asked = min(r["creationTime"] for r in runs)
        started = min(r["startTime"] for r in runs)
        return ended - began, len(runs), (asked - began, started - asked, ended - started)
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=60)


def backfill_runs(url: str, wanted: tuple[str, ...], days: list[str]) -> list[dict]:
    """Runs of a backfill, once it has ended."""
    params = {"partitionNames": days, "assetSelection": [{"path": [t]} for t in wanted]}
    answer = ask(url, MUTATION, {"params": params})["launchPartitionBackfill"]
    if "backfillId" not in answer:
        raise SystemExit(f"the backfill was refused: {answer}")
    while True:
        time.sleep(1)
        state = ask(url, STATUS, {"id": answer["backfillId"]})["partitionBackfillOrError"]
        if state["status"] in ("COMPLETED_SUCCESS", "COMPLETED"):
            return state["runs"]
        if state["status"] in ("COMPLETED_FAILED", "FAILED", "CANCELED"):
            raise SystemExit(f"the backfill ended as {state}")


def single_run(url: str, wanted: tuple[str, ...], days: list[str]) -> list[dict]:
    """The run of a range of partitions, once it has ended."""
    found = ask(url, "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }")
    repository = found["repositoriesOrError"]["nodes"][0]
    selector = {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}
    selector |= {"pipelineName": "__ASSET_JOB", "assetSelection": [{"path": [t]} for t in wanted]}
    ends = {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[-1]}
    tags = [{"key": key, "value": value} for key, value in ends.items()]
    params = {"selector": selector, "mode": "default", "runConfigData": "{}", "executionMetadata": {"tags": tags}}
    answer = ask(url, LAUNCH, {"params": params})["launchRun"]
    if "run" not in answer:
        raise SystemExit(f"the run was refused: {answer}")
    while True:
        time.sleep(1)
        run = ask(url, RUN, {"id": answer["run"]["runId"]})["runOrError"]
        if run["status"] == "SUCCESS":
            return [run]
        if run["status"] in ("FAILURE", "CANCELED"):
            raise SystemExit(f"the run ended as {run}")


def ask(url: str, query: str, variables: dict | None = None) -> dict:
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    if "errors" in found:
        raise SystemExit(f"GraphQL: {found['errors']}")
    return found["data"]


def wait_for(url: str, seconds: float = 180) -> None:
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            found = ask(url, "{ assetNodes { assetKey { path } } }")
            daemons = ask(url, HEALTH)["instance"]["daemonHealth"]["allDaemonStatuses"]
            if found["assetNodes"] and all(d["healthy"] for d in daemons if d["required"]):
                return
        except OSError:
            pass
        time.sleep(1)
    raise SystemExit(f"Dagster did not answer at {url} within {seconds:.0f} s")


def partition_names(url: str, first: str, last: str) -> list[str]:
    query = '{ assetNodeOrError(assetKey: {path: ["trades"]}) { ... on AssetNode { partitionKeys } } }'
    keys = ask(url, query)["assetNodeOrError"]["partitionKeys"]
    return [k for k in keys if first <= k <= last]


if __name__ == "__main__":
    main()
