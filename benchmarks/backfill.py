"""Years of daily partitions backfilled through the UI's own API, against a plain loop over the same library calls.

    python benchmarks/backfill.py [--stocks 200] [--orders 1500] [--first 2022-01-01] [--last 2022-12-31] [--look-back]
        [--single-run] [--on machine cluster] [--alone] [--looks 20] [--repeat 1]

Starts ``mg ui`` on a new lake, asks for the backfill with the GraphQL mutation that the UI's "Materialize" button
sends, waits until the runs have ended, and counts them. The loop calls the same asset functions and quality suites,
table by table, on a second new lake in a process of its own. Times are wall seconds. The backfill's run from the
mutation's answer to the end of the last run: the daemon's look at new backfills (every 30 s, a constant of Dagster's,
so 0-30 s of waiting whatever the size), the queue, the start of the run process (imports), the steps and Dagster's
bookkeeping. The daemon is up and healthy before the clock starts, the kernels are compiled. At the end every value of
the lake is compared with the loop's.

With --single-run the range is launched as the UI does when "Single run" is chosen in its dialog: at once, as one run,
without the daemon's look. With ``--on cluster`` the servers are those of ``deploy/cluster`` (PostgreSQL, two Ray nodes
of one CPU each) and the lake is a folder; its packages are needed. With --alone there is no loop. With --looks each
page is opened that often afterwards in a headless Chromium, from the address to the text that only the loaded page
shows (needs playwright and Chromium).
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from same_lake import compare_table

from mg_assets.cli.process_group import process_group

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT / "deploy" / "cluster"))
PAGES = {
    "graph": ("asset-groups", "factors"),
    "catalogue": ("assets", "common_factors"),
    "partitions": ("assets/minute_bars?view=partitions", "{latest}"),
    "checks": ("assets/minute_bars?view=checks", "set_aside"),
    "lineage": ("assets/minute_bars?view=lineage", "intraday_factors"),
    "backfills": ("runs?view=backfills", "Completed|Success"),
}
"""Address of each page, and what it shows once it is loaded: a regular expression."""
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
from mg_assets.orchestration.inputs import LakeSnapshot
began = time.monotonic()
lake = Lake(settings().lake_url)
source = build_source(settings().source.kind, settings().source.options)
keys = [str(d) for d in trading_days(sys.argv[1], sys.argv[2])]
for table in sys.argv[3].split(","):
    if table != ASSET_OF[table].tables[0]:
        continue  # made with another: orders with trades, features with factors
    seen = LakeSnapshot(lake)  # one look at what is read, not one a partition
    inputs = {n: dict(zip(keys, TABLES.inputs(seen, n, keys), strict=True)) for n in ASSET_OF[table].tables}
    for built in make(table, keys, lake, source, settings().worker_count):
        name = built.table or table
        kept = {"recipe": TABLES.recipe(name), "inputs": inputs[name][built.key]}
        lake.write(name, built.key, built.frame, kept)
    for name in ASSET_OF[table].tables:
        run_suite(name, lake, keys)
print("SECONDS", time.monotonic() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stocks", type=int, default=200)
    parser.add_argument("--orders", type=int, default=1500)
    parser.add_argument("--first", default="2022-01-01")
    parser.add_argument("--last", default="2022-12-31")
    parser.add_argument("--look-back", action="store_true", help=f"also {' and '.join(LOOK_BACK)}")
    parser.add_argument("--single-run", action="store_true", help="launch the range as the UI's single run")
    parser.add_argument("--on", nargs="+", choices=list(SERVERS), default=["machine"], help="cluster: two Ray nodes")
    parser.add_argument("--alone", action="store_true", help="without the loop")
    parser.add_argument("--looks", type=int, default=0, help="at each page, after the backfill")
    parser.add_argument("--repeat", type=int, default=1, help="pairs of loop and backfill")
    chosen = parser.parse_args()
    for pair in range(chosen.repeat):
        folder = Path(tempfile.mkdtemp(prefix="mg-backfill-"))
        folder.chmod(0o755)  # PostgreSQL runs as another user under root
        try:
            (folder / "settings.yaml").write_text(json.dumps(market(chosen)), encoding="utf-8")
            plain_loop(folder, "warm", chosen, "2022-01-04", "2022-01-10")  # kernels compiled, files in the page cache
            loop = np.nan if chosen.alone else plain_loop(folder, "loop", chosen, chosen.first, chosen.last)
            if not chosen.alone:
                print(f"pair {pair + 1}: loop {loop:.1f} s", flush=True)
            for on in chosen.on:
                compare(folder, on, loop, chosen)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def tables(chosen: argparse.Namespace) -> tuple[str, ...]:
    return TABLES + (LOOK_BACK if chosen.look_back else ())


def market(chosen: argparse.Namespace) -> dict:
    first = min(chosen.first, "2022-01-01")
    source = {"kind": "simulated", "stocks": chosen.stocks, "orders_per_stock": chosen.orders, "tick_start": first}
    return {"source": source, "first_day": first, "end_date": max(chosen.last, "2022-12-31"), "first_model": "2022H1"}


def environment(folder: Path, name: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER_"))}
    return kept | {
        "MG_SETTINGS": str(folder / "settings.yaml"),
        "MG_LAKE": str(folder / name),
        "DAGSTER_HOME": str(folder / f"{name}-home"),
        "DAGSTER_EVENT_BATCH_SIZE": "500",
    }


def plain_loop(folder: Path, name: str, chosen: argparse.Namespace, first: str, last: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", LOOP, first, last, ",".join(tables(chosen))],
        env=environment(folder, name),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return float(done.stdout.rsplit("SECONDS", 1)[1])


def compare(folder: Path, on: str, loop: float, chosen: argparse.Namespace) -> None:
    """Backfill through the UI's API, and print how that compares with the loop."""
    with SERVERS[on](folder) as (url, home):
        wait_for(url)
        keys = partition_names(url)
        days = [key for key in keys if chosen.first <= key <= chosen.last]
        began = time.time()
        launched = single_run if chosen.single_run else backfill_runs
        runs = launched(url, tables(chosen), days)
        ended = max(r["endTime"] for r in runs)
        asked = min(r["creationTime"] for r in runs)
        started = min(r["startTime"] for r in runs)
        print(
            f"{on}: {len(days)} days x {len(tables(chosen))} tables, {chosen.stocks} stocks, "
            f"{chosen.orders} orders a stock and day: backfill {ended - began:.1f} s in {len(runs)} run(s)"
            + ("" if chosen.alone else f", loop {loop:.1f} s, ratio {(ended - began) / loop:.2f}")
            + f"; until the first run is asked for "
            f"{asked - began:.1f} s, queue and start {started - asked:.1f} s, runs {ended - started:.1f} s",
            flush=True,
        )
        other = folder / (on if chosen.alone else "loop")
        found = {table: compare_table(other / table, folder / on / table) for table in tables(chosen)}
        files, rows = (sum(part) for part in list(zip(*found.values(), strict=True))[:2])
        print(f"{files} files, {rows:,} rows" + ("" if chosen.alone else ", each value compared with the loop's"))
        print(*(f"DIFFERS: {table} {line}" for table, (_, _, lines) in found.items() for line in lines[:5]), sep="\n")
        print(f"Dagster's history: {size(home) / 2**20:.0f} MiB", flush=True)
        for name, seconds in look_at_pages(url.removesuffix("graphql"), keys[-1], chosen.looks):
            middle, worst = sorted(seconds)[len(seconds) // 2], max(seconds)
            print(f"{name}: first {seconds[0]:.2f} s, median {middle:.2f} s, worst {worst:.2f} s of {len(seconds)}")


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@contextmanager
def one_machine(folder: Path) -> Iterator[tuple[str, Path]]:
    """``mg ui`` on a new lake: the address of its GraphQL, and the folder of Dagster's history."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = environment(folder, "machine")
    command = [sys.executable, "-m", "mg_assets.cli.main", "ui", "--port", str(port)]
    with process_group(command, env=env, cwd=CHECKOUT, stdout=subprocess.DEVNULL, grace=90):
        yield f"http://127.0.0.1:{port}/graphql", Path(env["DAGSTER_HOME"])


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, Path]]:
    """The servers of ``deploy/cluster`` on a lake in a folder: the address of GraphQL, and the database's folder."""
    from local_cluster import Cluster, Stages

    class Shared(Cluster):
        def _dagster(self) -> tuple:
            self.env["MG_LAKE"] = str(folder / "cluster")
            return super()._dagster()

    settings = json.loads((folder / "settings.yaml").read_text(encoding="utf-8"))
    with Shared(folder, settings, Stages()) as servers:
        yield servers.address, folder / "postgres"


SERVERS = {"machine": one_machine, "cluster": cluster}


def look_at_pages(address: str, latest: str, times: int) -> Iterator[tuple[str, list[float]]]:
    """Seconds from each page's address to its content, in the order of the looks."""
    if not times:
        return
    from playwright.sync_api import sync_playwright

    browser = next(b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b))
    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=shutil.which(browser), args=["--no-sandbox"]) as opened:
            page = opened.new_page(viewport={"width": 1600, "height": 1000})
            for name, (path, text) in PAGES.items():
                seconds = []
                for _ in range(times):
                    page.goto("about:blank")
                    began = time.monotonic()
                    page.goto(address + path, wait_until="commit")
                    page.get_by_text(re.compile(text.format(latest=latest))).first.wait_for(timeout=120_000)
                    seconds.append(time.monotonic() - began)
                yield name, seconds


def backfill_runs(url: str, wanted: tuple[str, ...], days: list[str]) -> list[dict]:
    """Runs of a backfill, once it has ended."""
    params = {"partitionNames": days, "assetSelection": [{"path": [t]} for t in wanted]}
    answer = ask(url, MUTATION, {"params": params})["launchPartitionBackfill"]
    if "backfillId" not in answer:
        raise SystemExit(f"the backfill was refused: {answer}")
    shown = ""
    while True:
        time.sleep(1)
        state = ask(url, STATUS, {"id": answer["backfillId"]})["partitionBackfillOrError"]
        counts = Counter(run["status"] for run in state["runs"])
        line = ", ".join(f"{count} {status.lower()}" for status, count in sorted(counts.items()))
        if line != shown:
            print(f"{time.strftime('%X')} runs: {line}", flush=True)
        shown = line
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


def partition_names(url: str) -> list[str]:
    query = '{ assetNodeOrError(assetKey: {path: ["trades"]}) { ... on AssetNode { partitionKeys } } }'
    return ask(url, query)["assetNodeOrError"]["partitionKeys"]


if __name__ == "__main__":
    main()
