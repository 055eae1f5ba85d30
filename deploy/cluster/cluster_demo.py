"""``make cluster-demo``: several machines on this one, and whether they make the same lake as one machine.

It starts PostgreSQL, an S3-compatible server, a Ray cluster of two nodes, Dagster's daemon and the web server, each on
loopback ports of its own and with its files in a temporary folder; starts a backfill as the UI does, through the web
server's GraphQL; builds the same partitions with ``mg run`` in a folder; compares every file byte for byte; and ends
all of it, also on Ctrl-C and after an error. Nothing outside the temporary folder is written.
"""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from local_servers import (
    AbsentError,
    ServerError,
    free_port,
    listens,
    object_store,
    postgres,
    postgres_binaries,
    ray_cluster,
    rclone_binary,
    wait_for,
)

from mg_assets.cli.process_group import process_group

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = {"dagster_postgres": "dagster-postgres", "dagster_ray": "dagster-ray", "ray": "ray", "s3fs": "s3fs"}
INSTALL = (
    "grep -v '^torch' requirements.lock > /tmp/constraints && .venv/bin/pip install -c /tmp/constraints -e '.[scale]'"
)
RAW = ("reference", "planted_signal", "trades", "orders")
"""They read no other table: two backfills make half of the days each, at the same time."""
REST = (
    *("minute_bars", "daily_bars", "intraday_factors", "features_day", "features_60m", "features_30m"),
    *("daily_factors", "common_factors", "labels"),
)
TABLES = (*RAW, *REST)
FIRST = "2023-01-03"
PATIENCE = "code_servers: {local_startup_timeout: 600}  # on a busy machine their imports take minutes"
COUNTS = ("Materialized", "Targeted", "Failed")
OPEN = ("REQUESTED", "CANCELING", "FAILING")
LAUNCH = """mutation($given: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $given) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
PROGRESS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
  ... on PythonError { message }
  ... on PartitionBackfill { status error { message } runs { status }
    assetBackfillData { assetBackfillStatuses {
      ... on AssetPartitionsStatusCounts { numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed }
    } } } } }"""
LOADED = "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } } }"


class Stages:
    """Prints what is done, with the seconds that it took."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Name a stage when it begins, and say how long it took once it has succeeded."""
        began = time.monotonic()
        print(f"[{began - self.began:5.0f} s] {title} ...", flush=True)
        yield
        now = time.monotonic()
        print(f"[{now - self.began:5.0f} s] {title}: done in {now - began:.1f} s", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 where both lakes are equal, 1 where they are not, 2 where something is absent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=6, help="trading days, from 2023-01-03 on (6)")
    parser.add_argument("--stocks", type=int, default=10, help="simulated stocks (10)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder with all logs")
    chosen = parser.parse_args(arguments)
    lacking = absent()
    if lacking:
        print(*(f"cluster-demo: {line}" for line in lacking), sep="\n", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="mgc_"))  # short: Ray puts sockets below it
    folder.chmod(0o755)  # PostgreSQL runs as another user under root
    kept = chosen.keep
    try:
        return demonstrate(folder, chosen.days, chosen.stocks)
    except (ServerError, BackfillError) as error:
        kept = True
        print(f"cluster-demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncluster-demo: stopped", file=sys.stderr)
        return 130
    finally:
        if kept:
            print(f"logs, lakes and settings: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


class BackfillError(Exception):
    """The backfill could not be started, or did not complete."""


def absent() -> list[str]:
    """What is not installed, and how to install it: a line each."""
    packages = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
    lines = [f"{', '.join(packages)} absent: {INSTALL}"] if packages else []
    for find in (postgres_binaries, rclone_binary):
        try:
            find()
        except AbsentError as error:
            lines.append(str(error))
    return lines


def demonstrate(folder: Path, count: int, stocks: int) -> int:
    """Start everything, backfill, build the same on one machine, and compare."""
    from mg_assets.market.calendar import trading_days

    stages = Stages()
    days = [str(day) for day in trading_days(FIRST)[:count]]
    settings, kept = folder / "settings.yaml", {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "AWS"))}
    env = kept | {"MG_SETTINGS": str(settings), "MG_WORKERS": "1", "OMP_NUM_THREADS": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env.get('PATH', '')}"
    settings.write_text(yaml.safe_dump(market(days, stocks)))
    print(f"{len(TABLES)} tables of {len(days)} days {days[0]}..{days[-1]}, {stocks} simulated stocks")
    with ExitStack() as running:
        with stages.stage("PostgreSQL"):
            cluster = env | {"MG_PG": running.enter_context(postgres(folder / "postgres"))}
        with stages.stage("object store (rclone)"):
            cluster |= running.enter_context(object_store(folder / "objects", "mg")) | {"MG_LAKE": "s3://mg/lake"}
        cluster |= {"DAGSTER_HOME": str(folder / "home"), "DAGSTER_EVENT_BATCH_SIZE": "500"}
        (folder / "home").mkdir()
        deployed = (CHECKOUT / "deploy" / "cluster" / "dagster.yaml").read_text(encoding="utf-8")
        (folder / "home" / "dagster.yaml").write_text(f"{deployed}\n{PATIENCE}\n", encoding="utf-8")
        with stages.stage("Ray, two nodes"):
            cluster["MG_RAY"] = running.enter_context(ray_cluster(folder, cluster))
        with stages.stage("daemon and web server"):
            web = running.enter_context(dagster(folder, cluster))
        half = len(days) // 2
        with stages.stage("two backfills of raw tables through the web server, half of the days each"):
            backfill(web, RAW, days[:half], days[half:])
        with stages.stage("backfill of the tables that read them"):
            backfill(web, REST, days)
        show_nodes(cluster["MG_RAY"])
        with stages.stage("the same with mg run, on one machine"):
            local(folder, env)
        with stages.stage("comparison"):
            different = differences(cluster, folder / "local", days)
    print(*different[:20], sep="\n", end="\n" if different else "")
    total = len(TABLES) * len(days)
    print(f"{total - len(different)} of {total} partitions are equal byte for byte; all servers are stopped")
    return 1 if different else 0


def market(days: Sequence[str], stocks: int) -> dict[str, Any]:
    """Settings of both lakes."""
    span = {"daily_from": days[0], "ticks_from": days[0], "until": days[-1], "half_years": []}
    source = {"kind": "simulated", "stocks": stocks, "tick_start": days[0], "orders_per_stock": 60}
    return {"source": source, "end_date": "2023-12-29", "first_model": "2023H2", "run": span}


@contextmanager
def dagster(folder: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Daemon and web server; gives the address of its GraphQL.

    Yields
    ------
    str
    """
    port, log = free_port(), folder / "dagster.log"
    workspace = ["-w", str(CHECKOUT / "workspace.yaml")]
    web = [sys.executable, "-m", "mg_assets.web", *workspace, "-h", "127.0.0.1", "-p", str(port)]
    daemon = [sys.executable, "-m", "dagster._daemon", "run", *workspace]
    address = f"http://127.0.0.1:{port}/graphql"

    def loaded() -> bool:
        if not listens(port):
            return False
        try:
            return bool(asked(address, LOADED)["repositoriesOrError"].get("nodes"))
        except OSError:
            return False

    with log.open("wb") as out:
        options: dict[str, Any] = {"env": dict(env), "cwd": CHECKOUT, "stdout": out, "stderr": subprocess.STDOUT}
        with process_group(web, daemon, **options) as (server, _):
            wait_for(loaded, "the web server", log, 600, server)
            yield address


def asked(address: str, query: str, **variables: Any) -> dict[str, Any]:
    """The data of a GraphQL answer."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise BackfillError(
            f"the web server refuses the request: {error.read(300).decode(errors='replace')}"
        ) from error
    if found.get("errors"):
        raise BackfillError(f"the web server refuses the query: {found['errors'][0]['message']}")
    return found["data"]


def backfill(address: str, tables: Sequence[str], *spans: Sequence[str]) -> None:
    """Start a backfill for each span of days as the UI does, and wait until all have completed."""
    made = []
    for days in spans:
        span = {"range": {"start": days[0], "end": days[-1]}}
        given = {"partitionsByAssets": [{"assetKey": {"path": [table]}, "partitions": span} for table in tables]}
        answer = asked(address, LAUNCH, given=given)["launchPartitionBackfill"]
        if "backfillId" not in answer:
            raise BackfillError(f"the backfill was refused: {answer.get('message', answer['__typename'])}")
        made.append(answer["backfillId"])
    shown, found = "", [progress(address, one) for one in made]
    while any(one["status"] in OPEN for one in found):
        time.sleep(1)
        found = [progress(address, one) for one in made]
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


def progress(address: str, number: str) -> dict[str, Any]:
    """State, runs and partitions of a backfill."""
    found = asked(address, PROGRESS, id=number)["partitionBackfillOrError"]
    if "status" not in found:
        raise BackfillError(f"the backfill is gone: {found.get('message', found['__typename'])}")
    return found


def show_nodes(jobs: str) -> None:
    """Print how many runs each node of the Ray cluster had."""
    with urllib.request.urlopen(f"{jobs}/api/jobs/", timeout=30) as answer:
        nodes = Counter(job["driver_agent_http_address"] for job in json.load(answer))
    print(f"          runs by node: {', '.join(str(count) for _, count in sorted(nodes.items()))}")


def local(folder: Path, env: Mapping[str, str]) -> None:
    """Build the same days in a folder."""
    log = folder / "local.log"
    more = {"MG_LAKE": str(folder / "local"), "DAGSTER_HOME": str(folder / "local_home")}
    command = [sys.executable, "-m", "mg_assets.cli.main", "run"]
    with (
        log.open("wb") as out,
        process_group(command, env=dict(env) | more, cwd=CHECKOUT, stdout=out, stderr=out) as (run,),
    ):
        if run.wait():
            raise ServerError(f"mg run failed: {log.read_text().strip().splitlines()[-1]} ({log})")


def differences(cluster: Mapping[str, str], root: Path, days: Sequence[str]) -> list[str]:
    """Partitions whose files are not the same bytes in both lakes: a line each."""
    from mg_assets.lake.store import Lake

    os.environ |= {name: value for name, value in cluster.items() if name.startswith("AWS_")}
    here, there, lines = Lake(root), Lake(cluster["MG_LAKE"]), []
    for table in TABLES:
        for day in days:
            one, other = (lake.storage.read(lake.path(table, day)) for lake in (here, there))
            if one is None or one != other:
                how = "absent here" if one is None else "absent on the cluster" if other is None else "other bytes"
                lines.append(f"{table} {day}: {how}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
