"""Strike the servers of a cluster while backfills run on it, and compare its lake with one that was never disturbed.

    nice python deploy/cluster/cluster_faults.py [--faults 50] [--seed 1] [--days 3] [--stocks 10] [--keep]

The cluster is that of ``cluster_demo.py``: PostgreSQL, an S3-compatible server, two Ray nodes, code server, daemon and
web server on this machine. Round by round two backfills over days of their own are started by GraphQL, and several
faults strike one after the other while they run: a worker, a node or one of Dagster's servers is killed, the database
is stopped at once, the object store is cut off, a disk is full, a clock is off. What a supervisor of services
would start again is started again. After each round

- every partition is there, the same bytes as in a folder that was never disturbed; or Dagster does not count it as
  made, and another backfill of what is missing completes it;
- no run is open, and no slot of the pool that one of the tables takes is taken;
- no partition of a step that succeeded was computed again.

A table of the faults by kind is printed; the exit status is 1 where any of this does not hold. Faults that found
nothing to strike are struck in a later round. A disk is full where this may mount a file system of its own (root), a
clock off where PyPI's ``libfaketime`` is installed (under that of Debian 12 no Python waits for a lock with a timeout);
where not, the reason is printed and other faults take their place. The clock is that of all processes of the second
node, Ray's too; the times of the lake's files are the object store's.
"""

import argparse
import importlib.util
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psutil
from local_cluster import CHECKOUT, OPEN, BackfillError, Cluster, Stages, differences, in_folder, market
from local_servers import Server, ServerError
from sqlalchemy.exc import SQLAlchemyError

from mg_assets.assets import LAKE_ASSETS
from mg_assets.market.calendar import trading_days

FIRST = "2023-01-03"
TABLES = (
    *("reference", "planted_signal", "trades", "orders", "minute_bars", "daily_bars"),
    *("intraday_factors", "features_day", "features_60m", "features_30m"),
)
"""What the raw tables of the day alone decide: no backfill depends on another."""
UNDISTURBED = """
import sys
import dagster as dg
from mg_assets.assets import ASSETS
from mg_assets.orchestration.resources import deployed_resources
first, last, *tables = sys.argv[1:]
ends = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
dg.materialize(ASSETS, selection=tables, tags=ends, resources=deployed_resources())
"""
STEPS = {table: made.tables for made in LAKE_ASSETS for table in made.tables}
"""Tables that the step makes which makes a table: a backfill takes all of them."""
POOL = "campaign"
GRAPH = Path(__file__).with_name("pooled_graph.py")
PER_ROUND = 5
ROUND_LIMIT = 1800.0
"""Seconds that a round's backfills have."""
SETTLED = 180.0
"""Seconds that runs have to end, and slots to be free, once the backfills have."""
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DISK = "8m"
FAKETIME = "vendor/libfaketime/src/libfaketime.so.1"
CLOCKS = ("clock ten minutes off", "clock an hour off")
"""A quarter of an hour is what an object store allows: S3 refuses older or younger requests."""
SHIFTED = ("LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 where all held, 1 where something did not, 2 where something is absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=3, help="trading days of each of a round's two backfills (3)")
    parser.add_argument("--stocks", type=int, default=10, help="simulated stocks (10)")
    parser.add_argument("--sound", type=Path, help="the undisturbed lake of a run with the same days and stocks")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only this kind (several times: these)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder with all logs")
    chosen = parser.parse_args(arguments)
    return in_folder("cluster-faults", chosen.keep, lambda folder: Campaign(folder, chosen).run())


@dataclass
class Tally:
    """Faults of a kind: how many struck, and how the rounds ended in which they did."""

    struck: int = 0
    ended: Counter = field(default_factory=Counter)


class Campaign:
    """Rounds of backfills and the faults that strike them.

    Parameters
    ----------
    folder : Path
        Of all files.
    chosen : Namespace
        Of the command's options.
    """

    def __init__(self, folder: Path, chosen: argparse.Namespace):
        self.folder, self.chosen, self.draw = folder, chosen, random.Random(chosen.seed)
        self.disk, self.sound = folder / "disk", chosen.sound
        kinds = {name: kind for name, kind in KINDS.items() if not chosen.kind or name in chosen.kind}
        for name, reason in self._impossible().items():
            if kinds.pop(name, None):
                print(f"no {name}: {reason}")
        deck = [name for name, kind in kinds.items() for _ in range(kind.weight)]
        self.draw.shuffle(deck)
        self.left = [deck[i % len(deck)] for i in range(chosen.faults)]
        lasting = sum(KINDS[name].lasting for name in self.left)
        self.rounds = 3 * max(-(-chosen.faults // PER_ROUND), lasting) // 2 + 2
        self.days = [str(day) for day in trading_days(FIRST)[: self.rounds * 2 * chosen.days]]
        self.tally: dict[str, Tally] = defaultdict(Tally)
        self.restarts: Counter = Counter()
        self.wrong: list[str] = []
        self.ended: Counter = Counter()
        self.used = False  # by a run of the round: the second node

    def run(self) -> int:
        """Strike all faults; the exit status."""
        stages, graph = Stages(), ("-f", str(GRAPH))
        small = {"TMPDIR": str(self.disk)} if self.disk.is_mount() else {}
        self.cluster = Cluster(self.folder, market(self.days, self.chosen.stocks), stages, graph, small)
        try:
            if self.sound is None:
                with stages.stage(f"{len(TABLES)} tables of {len(self.days)} days, undisturbed"):
                    self.sound = self._undisturbed()
            with self.cluster:
                os.environ |= {n: v for n, v in self.cluster.env.items() if n.startswith(("MG_PG", "MG_RAY", "AWS_"))}
                self.instance = dg.DagsterInstance.from_config(str(self.cluster.home))
                for number in range(self.rounds):
                    if not self.left:
                        break
                    half = self.chosen.days
                    days = self.days[number * 2 * half :]
                    with stages.stage(f"round {number + 1}"):
                        self._round(days[:half], days[half : 2 * half])
        except (BackfillError, ServerError, KeyboardInterrupt):
            self._report()
            raise
        finally:
            if self.disk.is_mount():
                subprocess.run(["umount", "-l", str(self.disk)], check=False)
        return self._report()

    def _impossible(self) -> dict[str, str]:
        """Kinds of faults that this machine does not allow, with the reason."""
        found = {}
        for name in CLOCKS if not _faketime() else ():
            found[name] = f"no libfaketime here: {sys.executable} -m pip install libfaketime"
        self.disk.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=1777", "mg-campaign", str(self.disk)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            found["disk full"] = f"no file system of its own can be mounted here ({done.stderr.strip()})"
        return found

    def _undisturbed(self) -> Path:
        """Build all days in a folder, in one run of one process."""
        lake, log = self.folder / "sound", self.folder / "sound.log"
        command = [sys.executable, "-c", UNDISTURBED, self.days[0], self.days[-1], *TABLES]
        env = self.cluster.local | {"MG_LAKE": str(lake)}
        with log.open("wb") as out:
            done = subprocess.run(command, env=env, cwd=CHECKOUT, stdout=out, stderr=out, check=False)
        if done.returncode:
            raise ServerError(f"the undisturbed build failed: {log.read_text().strip().splitlines()[-1]} ({log})")
        return lake

    def _round(self, *spans: Sequence[str]) -> None:
        """Backfills of the days, the faults that strike them, and what must hold at their end."""
        planned = self._plan()
        before = [name for name in planned if KINDS[name].before]
        struck = [name for name in before if self._strike(name, {})]
        self.used = False
        made = [self.cluster.launch({table: [(days[0], days[-1])] for table in TABLES}) for days in spans]
        others = self._strike_while(made, [name for name in planned if not KINDS[name].before])
        struck = [*(struck if self.used else ()), *others]
        self._restore()
        days = [day for span in spans for day in span]
        how, wrong = self._outcome(made, days)
        for name in struck:
            self.tally[name].struck += 1
            self.tally[name].ended[how] += 1
            self.left.remove(name)
        self.ended[how] += 1
        self.wrong += wrong
        print(f"          {how}; struck: {', '.join(struck) or 'nothing'}", flush=True)
        for line in wrong[:20]:
            print(f"          WRONG: {line}", flush=True)

    def _plan(self) -> list[str]:
        """The round's faults: the first that are left, one of those that change the second node until its end."""
        planned: list[str] = []
        for name in self.left:
            lasting = KINDS[name].lasting and any(KINDS[other].lasting for other in planned)
            if len(planned) < PER_ROUND and not lasting:
                planned.append(name)
        return planned

    def _strike_while(self, made: Sequence[str], planned: Sequence[str]) -> list[str]:
        """Strike planned faults one after the other while backfills run; those that struck."""
        waiting, struck = list(planned), list[str]()
        ends = time.monotonic() + ROUND_LIMIT
        due = time.monotonic() + self.draw.uniform(0, 10)
        while True:
            self._supervise()
            states = self._progress(made)
            self.used |= bool(self.workers(self.cluster.node, status="STARTED", states=states or {}))
            if states is not None and not set(states) & set(made):
                return struck
            if time.monotonic() > ends:
                raise BackfillError(f"the backfills have not ended after {ROUND_LIMIT:.0f} s")
            if waiting and states is not None and time.monotonic() > due:
                name = next((name for name in waiting if self._strike(name, states)), None)
                if name:
                    waiting.remove(name)
                    struck.append(name)
                    due = time.monotonic() + self.draw.uniform(1, 10)
            time.sleep(1)

    def _strike(self, name: str, states: Mapping[str, str]) -> bool:
        what = KINDS[name].strike(self, states)
        if what:
            print(f"          {name}: {what}", flush=True)
        return bool(what)

    def _progress(self, made: Sequence[str]) -> dict[str, str] | None:
        """States of the backfills that are open and of their runs, by id; None where the database does not answer."""
        from dagster_postgres.utils import DagsterPostgresException

        try:
            found = {one: self.instance.get_backfill(one) for one in made}
            states = {one: backfill.status.value for one, backfill in found.items() if backfill}
            runs = {run.run_id: run.status.value for run in self._runs(made)}
        except (DagsterPostgresException, SQLAlchemyError):
            return None
        return {one: state for one, state in states.items() if state in OPEN} | runs

    def _runs(self, made: Iterable[str]) -> list[dg.DagsterRun]:
        """Runs of backfills."""
        wanted = [dg.RunsFilter(tags={"dagster/backfill": one}) for one in made]
        return [run for one in wanted for run in self.instance.get_runs(filters=one)]

    def _supervise(self) -> None:
        """Start Dagster's servers again where they have ended, as their services do."""
        for server in (self.cluster.code, self.cluster.daemon, self.cluster.web):
            if not server.alive():
                self.restarts[server.name] += 1
                server.start()

    def _restore(self) -> None:
        """Give the second node back its place, its clock and its disk."""
        node = self.cluster.node
        (self.disk / "filled").unlink(missing_ok=True)
        faked = any([node.env.pop(name, None) for name in SHIFTED])
        if faked and node.alive():
            node.signal(signal.SIGKILL)
        if faked or not node.alive():
            node.start()

    def workers(self, *servers: Server, status: str, states: Mapping[str, str]) -> list[tuple[psutil.Process, str]]:
        """Processes of runs in a state on nodes, with the ids of the runs."""
        found = []
        for process in (p for server in servers for p in server.processes()):
            with suppress(psutil.Error):
                words = process.cmdline()
                run = UUID.search(words[-1]) if "execute_run" in words else None
                if run and states.get(run.group()) == status:
                    found.append((process, run.group()))
        return found

    def _outcome(self, made: Sequence[str], days: Sequence[str]) -> tuple[str, list[str]]:
        """How the round ended, and what of it is wrong: a line each."""
        wrong = self._left_over(made)
        how = "complete at once"
        lacking, other = self._lacking(days)
        wrong += other
        if lacking:
            how = "complete by a second backfill"
            again = self.cluster.launch(lacking)
            self._strike_while([again], [])
            wrong += self._left_over([again])
            made = [*made, again]
            lacking, other = self._lacking(days)
            wrong += [*other, *(f"{t} {d}: not made by the second backfill" for t in lacking for d, _ in lacking[t])]
        wrong += self._computed_twice(made)
        return ("WRONG" if wrong else how), wrong

    def _lacking(self, days: Sequence[str]) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
        """Partitions that Dagster does not count as made, and what is wrong of the others."""
        counted = {table: self.instance.get_materialized_partitions(dg.AssetKey(table)) for table in TABLES}
        lacking = {t: [(d, d) for d in days if any(d not in counted[other] for other in STEPS[t])] for t in TABLES}
        found = differences(self.cluster.env, self.sound, TABLES, days)
        wrong = [
            f"{table} {day}: {how}"
            for (table, day), how in found.items()
            if day in counted[table] or how != "absent on the cluster"
        ]
        return {table: spans for table, spans in lacking.items() if spans}, wrong

    def _left_over(self, made: Sequence[str]) -> list[str]:
        """Runs that stay open and slots that stay taken after the end of backfills."""
        ends, lines = time.monotonic() + SETTLED, [""]
        while lines and time.monotonic() < ends:
            self._supervise()
            slots = self.instance.event_log_storage.get_concurrency_info(POOL)
            taken = self.instance.event_log_storage.get_concurrency_run_ids()
            runs = [run for run in self._runs(made) if not run.is_finished]
            lines = [f"run {run.run_id} is still {run.status.value}" for run in runs]
            lines += [f"run {run} holds a slot" for run in {*slots.active_run_ids, *taken}]
            time.sleep(2 if lines else 0)
        return lines

    def _computed_twice(self, made: Sequence[str]) -> list[str]:
        """Partitions that a run made although the step of another run had succeeded with them."""
        kinds = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.STEP_SUCCESS}
        makers: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
        for run in sorted(self._runs(made), key=lambda run: self.instance.get_run_stats(run.run_id).launch_time or 0):
            events = [entry.dagster_event for entry in self.instance.all_logs(run.run_id, of_type=kinds)]
            done = {e.step_key for e in events if e and e.event_type == dg.DagsterEventType.STEP_SUCCESS}
            for event in events:
                if event and event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
                    table = event.step_materialization_data.materialization.asset_key.to_user_string()
                    makers[table, event.partition or ""][run.run_id] = event.step_key in done
        return [
            f"{table} {day}: computed by {len(runs)} runs, after the step of one of them had succeeded"
            for (table, day), runs in makers.items()
            if any([*runs.values()][:-1])
        ]

    def _report(self) -> int:
        """Print the table; the exit status."""
        outcomes = ("complete at once", "complete by a second backfill", "WRONG")
        print(f"\n| fault | struck | {' | '.join(outcomes)} |\n|---|---:|---:|---:|---:|")
        for name in [name for name in KINDS if name in self.tally]:
            found = self.tally[name]
            print(f"| {name} | {found.struck} | {' | '.join(str(found.ended[how]) for how in outcomes)} |")
        struck = sum(found.struck for found in self.tally.values())
        print(f"| all | {struck} | {' | '.join(f'{self.ended[how]} rounds' for how in outcomes)} |")
        for name, count in self.restarts.items():
            print(f"{name} ended by itself and was started again: {count} times")
        if self.left:
            self.wrong.append(f"{len(self.left)} faults found nothing to strike: {', '.join(self.left)}")
        print(*self.wrong, sep="\n", end="\n" if self.wrong else "")
        print(f"{struck} faults, seed {self.chosen.seed}: {len(self.wrong)} wrong; all servers are stopped")
        return int(bool(self.wrong))


def _faketime() -> Path | None:
    found = importlib.util.find_spec("libfaketime")
    library = Path(found.origin).parent / FAKETIME if found and found.origin else None
    return library if library and library.exists() else None


Strike = Callable[[Campaign, Mapping[str, str]], str]
"""Takes the campaign and the states of the runs; strikes, waits and undoes it, and says what was struck, or nothing."""


def _kill_worker(status: str) -> Strike:
    def strike(campaign: Campaign, states: Mapping[str, str]) -> str:
        cluster = campaign.cluster
        found = campaign.workers(cluster.head, cluster.node, status=status, states=states)
        if not found:
            return ""
        process, run = campaign.draw.choice(found)
        process.kill()
        return f"run {run[:8]}"

    return strike


def _kill_node(returns: bool) -> Strike:
    def strike(campaign: Campaign, states: Mapping[str, str]) -> str:
        node, wait = campaign.cluster.node, campaign.draw.uniform(2, 15)
        found = [w for s in ("STARTED", "STARTING") for w in campaign.workers(node, status=s, states=states)]
        if not found:
            return ""
        node.signal(signal.SIGKILL)
        if not returns:
            return f"with run {found[0][1][:8]}, for the rest of the round"
        time.sleep(wait)
        node.start()
        return f"with run {found[0][1][:8]}, back after {wait:.0f} s"

    return strike


def _kill_service(which: str) -> Strike:
    def strike(campaign: Campaign, states: Mapping[str, str]) -> str:
        server: Server = getattr(campaign.cluster, which)
        if "STARTED" not in states.values():
            return ""
        server.signal(signal.SIGKILL)
        wait = campaign.draw.uniform(1, 10)
        time.sleep(wait)
        server.start()
        return f"started again after {wait:.0f} s"

    return strike


def _stop(which: str, number: signal.Signals, least: float, most: float) -> Strike:
    """Stop a server while a run goes on, and start it again after a drawn time."""

    def strike(campaign: Campaign, states: Mapping[str, str]) -> str:
        cluster, server = campaign.cluster, getattr(campaign.cluster, which)
        if not campaign.workers(cluster.head, cluster.node, status="STARTED", states=states):
            return ""
        frozen = number == signal.SIGSTOP
        wait = campaign.draw.uniform(least, most)
        server.signal(number, alone=not frozen)
        if not frozen:
            server.wait(60)
        time.sleep(wait)
        server.signal(signal.SIGCONT) if frozen else server.start()
        return f"away for {wait:.0f} s"

    return strike


def _fill_disk(campaign: Campaign, states: Mapping[str, str]) -> str:
    node, wait = campaign.cluster.node, campaign.draw.uniform(5, 20)
    found = campaign.workers(node, status="STARTED", states=states)
    if not found:
        return ""
    filled, ends = campaign.disk / "filled", time.monotonic() + wait
    with filled.open("wb", buffering=0) as out:
        while time.monotonic() < ends:
            with suppress(OSError):
                while True:  # again: what a file that was open then has left since is free
                    out.write(bytes(1 << 12))
            time.sleep(0.05)
    filled.unlink()
    return f"of run {found[0][1][:8]}, for {wait:.0f} s"


def _shift_clock(by: str) -> Strike:
    def strike(campaign: Campaign, states: Mapping[str, str]) -> str:
        node, shift = campaign.cluster.node, campaign.draw.choice("+-") + by
        node.env |= dict(zip(SHIFTED, (str(_faketime()), shift, "1"), strict=True))
        node.signal(signal.SIGKILL)
        node.start()
        return f"{shift} on the second node, for the round"

    return strike


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes
    ----------
    weight : int
        How many of fifty.
    strike : callable
    lasting : bool
        The second node is another one until the round's end.
    before : bool
        It strikes before the backfills begin.
    """

    weight: int
    strike: Strike
    lasting: bool = False
    before: bool = False


KINDS = {
    "worker killed": Kind(8, _kill_worker("STARTED")),
    "worker killed before its run starts": Kind(5, _kill_worker("STARTING")),
    "node killed and back": Kind(5, _kill_node(returns=True), lasting=True),
    "node killed for good": Kind(3, _kill_node(returns=False), lasting=True),
    "daemon killed": Kind(6, _kill_service("daemon")),
    "web server killed": Kind(4, _kill_service("web")),
    "code server killed": Kind(2, _kill_service("code")),
    "database stopped at once": Kind(6, _stop("postgres", signal.SIGQUIT, 1, 8)),
    "object store killed": Kind(4, _stop("store", signal.SIGKILL, 1, 8)),
    "object store cut off for seconds": Kind(2, _stop("store", signal.SIGSTOP, 3, 15)),
    "object store cut off for a minute": Kind(1, _stop("store", signal.SIGSTOP, 60, 60)),
    "disk full": Kind(2, _fill_disk, lasting=True),
    CLOCKS[0]: Kind(1, _shift_clock("10m"), lasting=True, before=True),
    CLOCKS[1]: Kind(1, _shift_clock("1h"), lasting=True, before=True),
}


if __name__ == "__main__":
    sys.exit(main())
