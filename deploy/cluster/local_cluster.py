"""Several machines on this one: all servers of ``deploy/cluster``, a lake on an object store, and its own twin.

Everything listens on loopback ports of its own and keeps its files in a temporary folder; nothing outside it is
written, and all of it ends with the block that started it.
"""

import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from local_servers import (
    AbsentError,
    Server,
    ServerError,
    free_port,
    listens,
    object_store,
    postgres,
    postgres_binaries,
    ray_nodes,
    rclone_binary,
)

from mg_assets.cli.process_group import process_group

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = {"dagster_postgres": "dagster-postgres", "dagster_ray": "dagster-ray", "ray": "ray", "s3fs": "s3fs"}
INSTALL = (
    "grep -v '^torch' requirements.lock > /tmp/constraints && .venv/bin/pip install -c /tmp/constraints -e '.[scale]'"
)
PATIENCE = "code_servers: {local_startup_timeout: 600}  # on a busy machine their imports take minutes"
OPEN = ("REQUESTED", "CANCELING", "FAILING")
LAUNCH = """mutation($given: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $given) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
PROGRESS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
  ... on PythonError { message }
  ... on PartitionBackfill { status error { message } runs { runId status }
    assetBackfillData { assetBackfillStatuses {
      ... on AssetPartitionsStatusCounts { numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed }
    } } } } }"""
LOADED = "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } } }"


class BackfillError(Exception):
    """The backfill could not be started, or did not complete."""


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


class Cluster:
    """PostgreSQL, an object store, two Ray nodes, code server, daemon and web server; entering it starts them all.

    Parameters
    ----------
    folder : Path
        Of all files.
    settings : dict
        Of the lake.
    stages : Stages
    graph : sequence of str, optional
        What the code server loads: its options.
    node : dict of str to str, optional
        Variables of the second node alone.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        stages: Stages,
        graph: Sequence[str] = ("-m", "mg_assets.definitions"),
        node: Mapping[str, str] | None = None,
    ):
        self.folder, self._stages, self._graph, self._node = folder, stages, graph, dict(node or {})
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "AWS"))}
        self.local = kept | {"MG_SETTINGS": str(folder / "settings.yaml"), "MG_WORKERS": "1", "OMP_NUM_THREADS": "1"}
        self.local["PATH"] = f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"
        (folder / "settings.yaml").write_text(yaml.safe_dump(dict(settings)))
        self.home, self._running = folder / "home", ExitStack()

    def __enter__(self) -> "Cluster":
        with ExitStack() as started:
            self._start(started)
            self._running = started.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    def _start(self, running: ExitStack) -> None:
        stage = self._stages.stage
        with stage("PostgreSQL"):
            self.postgres = postgres(self.folder / "postgres")
            self.env = self.local | running.enter_context(self.postgres)
        with stage("object store (rclone)"):
            self.store = object_store(self.folder / "objects", "mg")
            self.env |= running.enter_context(self.store) | {"MG_LAKE": "s3://mg/lake"}
        self.env |= {"DAGSTER_HOME": str(self.home), "DAGSTER_EVENT_BATCH_SIZE": "500"}
        self.home.mkdir()
        deployed = (CHECKOUT / "deploy" / "cluster" / "dagster.yaml").read_text(encoding="utf-8")
        (self.home / "dagster.yaml").write_text(f"{deployed}\n{PATIENCE}\n", encoding="utf-8")
        with stage("Ray, two nodes"):
            self.head, self.node = ray_nodes(self.folder, self.env)
            self.env |= running.enter_context(self.head)
            self.node.env = self.env | self._node
            running.enter_context(self.node)
        with stage("code server, daemon and web server"):
            self.code, self.daemon, self.web = self._dagster()
            for server in (self.code, self.daemon, self.web):
                running.enter_context(server)

    def _dagster(self) -> tuple[Server, Server, Server]:
        code_port, port, options = free_port(), free_port(), {"env": self.env, "cwd": CHECKOUT}
        self.address = f"http://127.0.0.1:{port}/graphql"
        workspace = self.folder / "workspace.yaml"
        served = {"host": "127.0.0.1", "port": code_port, "location_name": "mg_assets.definitions"}
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": served}]}))
        code = [sys.executable, "-m", "dagster", "code-server", "start", *self._graph]
        code += ["-h", "127.0.0.1", "-p", str(code_port)]
        web = [sys.executable, "-m", "mg_assets.web", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
        daemon = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]

        def loaded() -> bool:
            try:
                return listens(port) and bool(self.ask(LOADED)["repositoriesOrError"].get("nodes"))
            except OSError:
                return False

        return (
            Server("the code server", code, self.folder / "code.log", lambda: listens(code_port), 600, **options),
            Server("the daemon", daemon, self.folder / "daemon.log", lambda: True, 60, **options),
            Server("the web server", web, self.folder / "web.log", loaded, 600, **options),
        )

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL answer; OSError where the web server is not reached."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.address, body, {"Content-Type": "application/json"})
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

    def launch(self, days_of: Mapping[str, Iterable[tuple[str, str]]]) -> str:
        """Start a backfill as the UI does, of each table the spans of days; its id."""
        given = [
            {
                "assetKey": {"path": [table]},
                "partitions": {"ranges": [{"start": first, "end": last} for first, last in spans]},
            }
            for table, spans in days_of.items()
        ]
        answer = self.ask(LAUNCH, given={"partitionsByAssets": given})["launchPartitionBackfill"]
        if "backfillId" not in answer:
            raise BackfillError(f"the backfill was refused: {answer.get('message', answer['__typename'])}")
        return answer["backfillId"]

    def progress(self, number: str) -> dict[str, Any]:
        """State, runs and partitions of a backfill."""
        found = self.ask(PROGRESS, id=number)["partitionBackfillOrError"]
        if "status" not in found:
            raise BackfillError(f"the backfill is gone: {found.get('message', found['__typename'])}")
        return found


def build_locally(cluster: Cluster) -> Path:
    """Build the settings' days in a folder of this machine; the lake."""
    log, lake = cluster.folder / "local.log", cluster.folder / "local"
    more = {"MG_LAKE": str(lake), "DAGSTER_HOME": str(cluster.folder / "local_home")}
    command = [sys.executable, "-m", "mg_assets.cli.main", "run"]
    with (
        log.open("wb") as out,
        process_group(command, env=cluster.local | more, cwd=CHECKOUT, stdout=out, stderr=out) as (run,),
    ):
        if run.wait():
            raise ServerError(f"mg run failed: {log.read_text().strip().splitlines()[-1]} ({log})")
    return lake


def market(days: Sequence[str], stocks: int) -> dict[str, Any]:
    """Settings of a small simulated market of these days."""
    span = {"daily_from": days[0], "ticks_from": days[0], "until": days[-1], "half_years": []}
    source = {"kind": "simulated", "stocks": stocks, "tick_start": days[0], "orders_per_stock": 60}
    return {"source": source, "end_date": "2023-12-29", "first_model": "2023H2", "run": span}


def differences(
    cluster: Mapping[str, str], root: Path, tables: Iterable[str], days: Sequence[str]
) -> dict[tuple[str, str], str]:
    """How partitions differ whose files are not the same bytes in the local lake and the cluster's, by table and day.

    Parameters
    ----------
    cluster : dict of str to str
        Variables of the cluster: its lake, and those of the object store.
    root : Path
        The local lake.
    tables, days : sequence of str

    Returns
    -------
    dict of (str, str) to str
    """
    from mg_assets.lake.store import Lake

    os.environ |= {name: value for name, value in cluster.items() if name.startswith("AWS_")}
    here, there, found = Lake(root), Lake(cluster["MG_LAKE"]), {}
    for table in tables:
        for day in days:
            one, other = (lake.storage.read(lake.path(table, day)) for lake in (here, there))
            if one is None or one != other:
                found[table, day] = (
                    "absent here" if one is None else "absent on the cluster" if other is None else "other bytes"
                )
    return found


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


def in_folder(program: str, keep: bool, work: Callable[[Path], int]) -> int:
    """Do what a program does in a temporary folder, which stays where it fails or is to be kept; the exit status.

    Parameters
    ----------
    program : str
        Its name, in front of what it prints on stderr.
    keep : bool
    work : callable
        Takes the folder and gives the exit status.

    Returns
    -------
    int
        2 where something is absent, 1 where a server or a backfill failed, 130 where it was interrupted.
    """
    lacking = absent()
    if lacking:
        print(*(f"{program}: {line}" for line in lacking), sep="\n", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="mgc_"))  # short: Ray puts sockets below it
    folder.chmod(0o755)  # PostgreSQL runs as another user under root
    try:
        return work(folder)
    except (ServerError, BackfillError) as error:
        keep = True
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{program}: stopped", file=sys.stderr)
        return 130
    finally:
        if keep:
            print(f"logs, lakes and settings: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
