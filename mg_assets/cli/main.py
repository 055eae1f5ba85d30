"""``mg``: build the whole graph from a terminal, in the same lake and Dagster instance that the UI shows.

1. Prepare the Dagster home beside the lake.
2. For each step of the plan, find the partitions that are absent or stale and build them in ranges.
3. Print what came out beside the planted signal and the published figures, and where to look next.
"""

import argparse
import datetime as dt
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mg_assets.cli import explain as reading
from mg_assets.cli.replay import add_arguments as add_replay_arguments
from mg_assets.settings import CHECKOUT, Settings, settings

CHUNK = 250
PASSES = 3


@dataclass(frozen=True)
class Step:
    """Tables built together over the same partitions (keys as in the lake)."""

    title: str
    tables: tuple[str, ...]
    keys: tuple[str, ...]


class Screen:
    """What the terminal shows: steps, and a line that tells how far the table under way is."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._live = sys.stdout.isatty()
        self._clear = "\r\x1b[K" if self._live else ""
        self._last = 0.0

    def line(self, text: str) -> None:
        """Print a line with the minutes since the start."""
        passed = int(time.monotonic() - self.began)
        print(f"{self._clear}[{passed // 60:2d}:{passed % 60:02d}] {text}", flush=True)

    def message(self, text: str) -> None:
        """Show a line of an asset's log, below its step."""
        self.line(f"   {text}")

    def progress(self, table: str, done: int, total: int, left: float) -> None:
        """Tell how far a table is: in place on a terminal, else every ten seconds."""
        text = f"        {table}: {done} of {total}, {left:.0f} s left"
        now = time.monotonic()
        if self._live:
            print(f"{self._clear}{text}", end="", flush=True)
        elif now - self._last > 10 and 1 < done < total:
            print(text, flush=True)
        else:
            return
        self._last = now


def prepare_home(config: Settings) -> Path:
    """Make the Dagster home of a lake and point the environment to it."""
    if "://" in config.lake_url:
        home = Path(os.environ.get("DAGSTER_HOME", CHECKOUT / "lake" / "dagster"))
    else:
        home = Path(os.environ.get("DAGSTER_HOME", Path(config.lake_url) / ".dagster"))
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    if not file.exists():
        file.write_text((CHECKOUT / "deploy" / "dagster.yaml").read_text().replace("$HOME_FOLDER", str(home)))
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")
    return home


def plan(config: Settings) -> Iterator[Step]:
    """The steps of a run, in the order of the data; each is decided when the one before is done."""
    from mg_assets.assets import half_yearly_tables, weekly_tables, whole_tables
    from mg_assets.assets.models import HAND_WEIGHTED, SIGNALS
    from mg_assets.factors.granular import GRANULARITIES
    from mg_assets.market.calendar import month_of, trading_days, week_of
    from mg_assets.orchestration.partitions import END
    from mg_assets.sources import build_source

    options = dict(config.run)
    source = build_source(config.source["kind"], {k: v for k, v in config.source.items() if k != "kind"})
    until = str(options.get("until") or END or source.days()[-1])
    begin = str(options.get("daily_from") or source.days()[0])
    days = [str(d) for d in trading_days(begin, until)]
    since = str(options.get("ticks_from") or "9999")
    single = {str(d) for d in options.get("tick_days", [])}  # ticks of scattered days: too few for features
    daily = ("reference", "daily_bars") + (("planted_signal",) if config.source["kind"] == "simulated" else ())
    with_ticks = [d for d in days if d >= since or d in single]
    shown = any(source.has("snapshots", dt.date.fromisoformat(d)) for d in with_ticks)
    chain = (*(("snapshots",) if shown else ()), "trades", "orders", "minute_bars")
    chain += ("intraday_factors", "features_day", *GRANULARITIES)
    halves = tuple(options.get("half_years", []))

    yield Step("daily bars and reference data", daily, tuple(d for d in days if d < since and d not in single))
    yield Step("single tick days", (*daily, *chain), tuple(d for d in days if d in single))
    features = ("factor_inputs", "factor_scores")
    yield Step("ticks, bars and factors", (*daily, *chain, *features), tuple(d for d in days if d >= since))
    stamps = trading_days(begin, until)
    yield Step("weekly bars", ("weekly_bars",), _known("weekly_bars", week_of(stamps)))
    yield Step("monthly bars", ("monthly_bars",), _known("monthly_bars", month_of(stamps)))
    yield Step("daily and common factors", ("daily_factors", "common_factors"), tuple(days))
    yield Step("labels", ("labels",), tuple(days))
    yield Step("training", tuple(half_yearly_tables()), halves)
    predicted = tuple(d for h in halves for d in days if _half(d) == h)
    has_ticks = options.get("ticks_from") is not None
    signals = [s for s in SIGNALS if has_ticks or s not in HAND_WEIGHTED]
    yield Step("predictions and signals", tuple(signals), predicted)
    since = str(options.get("portfolios_from") or (predicted[0] if predicted else until))
    invested = trading_days(since, until)
    weeks = tuple(k for k in _known("weekly_bars", week_of(invested)) if k >= since)
    weights = tuple(t for t in weekly_tables() if t.startswith("weights_"))
    if predicted:
        yield Step("portfolio weights", weights, weeks)
        yield Step("backtests and evaluation", tuple(whole_tables()), ("all",))
        yield Step("weekly report", ("weekly_report",), weeks[-1:])


def _half(day: str) -> str:
    return f"{day[:4]}H{1 if day[5:7] < '07' else 2}"


def _known(table: str, starts: Iterable) -> tuple[str, ...]:
    """Partition keys of a table among the given period starts."""
    keys = set(partition_keys(table))
    return tuple(k for k in dict.fromkeys(str(s) for s in starts) if k in keys)


def build(config: Settings, screen: Screen) -> dict[str, float]:
    """Build every step's missing and stale partitions; returns seconds by step."""
    import dagster as dg

    from mg_assets.cli import warmup as rehearsal
    from mg_assets.definitions import CHECKS, defs
    from mg_assets.lake.store import Lake
    from mg_assets.orchestration import lake_asset as lake_assets
    from mg_assets.orchestration import orphaned_runs as abandoned
    from mg_assets.orchestration.staleness import stale
    from mg_assets.sources import build_source

    lake_assets.on_progress = screen.progress
    lake_assets.on_message = screen.message
    if rehearsal.start():
        screen.line("first run of these sources: compiling their kernels in the background, a minute or two")
    lake = Lake(config.lake_url)
    source = build_source(config.source["kind"], {k: v for k, v in config.source.items() if k != "kind"})
    instance = dg.DagsterInstance.get()
    for run in abandoned.end(instance):
        screen.line(f"run {run} was cut off: it is marked as failed, what it finished is kept")
    spent: dict[str, float] = {}
    for number, step in enumerate(plan(config), 1):
        if not step.keys or not step.tables:
            continue
        began = time.monotonic()
        built = 0
        for _ in range(PASSES):  # a table may become stale by what its step has just built
            todo = {t: stale(lake, source, t, step.keys) for t in step.tables}
            wanted = sorted({k for keys in todo.values() for k in keys})
            if not wanted:
                break
            if not built:
                count = sum(map(bool, todo.values()))
                screen.line(f"{number}. {step.title}: {len(wanted)} of {len(step.keys)} partitions of {count} tables")
            built += len(wanted)
            for tables, first, last in _ranges(todo, partition_keys(step.tables[0])):
                _materialise(dg, defs, CHECKS, instance, list(tables), first, last)
        spent[step.title] = time.monotonic() - began
        screen.line(f"   done in {spent[step.title]:.0f} s" if built else f"{number}. {step.title}: up to date")
    return spent


def partition_keys(table: str) -> list[str]:
    """Every lake key that a table can have, ascending."""
    from mg_assets.orchestration.partitions import lake_key
    from mg_assets.orchestration.staleness import TABLES

    definition = TABLES[table].definition
    return ["all"] if definition is None else [lake_key(k, definition) for k in definition.get_partition_keys()]


def _ranges(todo: Mapping[str, Sequence[str]], keys: list[str]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Contiguous stretches, at most ``CHUNK`` long, over which the same tables are to be built: tables, first, last.

    ``todo`` has the keys that each table of a step wants, in the order of the data; ``keys`` are all keys there are.
    What reads a table that is built is built after it on the same day, and tables that come from one pass over their
    source are built together.
    """
    from mg_assets.assets import ASSET_OF
    from mg_assets.orchestration.staleness import TABLES

    wanted: dict[str, dict[str, None]] = {}  # key -> tables, in the step's order
    for table, missing in todo.items():
        reads = {n.table for n in TABLES[table].needs}
        for key in {*missing, *(k for k, built in wanted.items() if not reads.isdisjoint(built))}:
            wanted.setdefault(key, {}).update(dict.fromkeys(ASSET_OF[table].tables))
    place = {k: i for i, k in enumerate(keys)}
    run: list[str] = []
    for key in sorted(wanted):
        if run and (place[key] != place[run[-1]] + 1 or len(run) == CHUNK or set(wanted[key]) != set(wanted[run[0]])):
            yield tuple(wanted[run[0]]), run[0], run[-1]
            run = []
        run.append(key)
    if run:
        yield tuple(wanted[run[0]]), run[0], run[-1]


def _materialise(dg, defs, checks, instance, tables: list[str], first: str, last: str) -> None:
    from mg_assets.assets import ASSETS
    from mg_assets.orchestration import orphaned_runs as abandoned
    from mg_assets.orchestration.partitions import HALF_YEARLY
    from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource
    from mg_assets.orchestration.staleness import TABLES

    definition = TABLES[tables[0]].definition
    tags = abandoned.tag()
    if definition is not None:
        if definition == HALF_YEARLY:
            from mg_assets.market.calendar import half_year_start

            first, last = half_year_start(first).isoformat(), half_year_start(last).isoformat()
        tags |= {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    result = dg.materialize(
        [*ASSETS, *checks],
        selection=dg.AssetSelection.assets(*tables),
        instance=instance,
        tags=tags,
        resources={"lake": LakeResource(), "source": SourceResource(), "compute": ComputeResource()},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    if not result.success:
        failed = [e for e in result.all_events if e.is_step_failure]
        reasons = "\n".join(f"  {e.step_key}: {_reason(e)}" for e in failed)
        raise SystemExit(f"run {result.run_id} failed for {first}..{last}:\n{reasons}\nmake ui shows the whole log")


def _reason(event) -> str:
    """What the asset's own code raised, without Dagster's wrapping."""
    error = event.step_failure_data.error
    if error is not None and error.cls_name == "DagsterExecutionStepExecutionError" and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else event.message


def main(arguments: list[str] | None = None) -> int:
    """Entry point of ``mg``."""
    parser = argparse.ArgumentParser(prog="mg", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="build what is missing or stale, from raw ticks to weights and report")
    real = commands.add_parser("real", help="the same on a folder of real market data")
    real.add_argument("data", help="folder of the real data, laid out as docs/sources.md says")
    ingesting = commands.add_parser("ingest", help="read a folder of a vendor's files into a lake, and report on each")
    ingesting.add_argument("folder", help="folder of the files, packed or plain; ticks with dates in their paths")
    kinds = "tonglian, huatai, exchange, qlib, mapped, or a preset: baostock, tushare, ..."
    ingesting.add_argument("--source", metavar="KIND", help=f"only files of this kind ({kinds})")
    ingesting.add_argument("--from", dest="since", type=date.fromisoformat, metavar="DAY", help="first day, 2023-02-01")
    ingesting.add_argument("--to", dest="until", type=date.fromisoformat, metavar="DAY", help="last day")
    ingesting.add_argument("--lake", help="where the tables go; by default lake/NAME of the folder")
    ingesting.add_argument("--dry-run", action="store_true", help="read and report on everything, write nothing")
    replaying = commands.add_parser("replay", help="replay a day's order books and hold them against snapshots")
    add_replay_arguments(replaying)
    asking = commands.add_parser("what-if", help="a stored portfolio's week under other limits; writes nothing")
    asking.add_argument("portfolio", help="as in the catalog: csi500_turnover30, ...")
    asking.add_argument("change", nargs="+", help="turnover_limit=0.2, size=0.1, stock_limit=none, industry[Steel]=.01")
    asking.add_argument("--week", help="any day of it; by default the last with weights")
    asking.add_argument("--html", metavar="FILE", help="write the tables and the plot there as well")
    again = commands.add_parser("retrain-check", help="train a stored model again and compare the bytes")
    again.add_argument("model", help="as in the catalog: lf_multitask, ...")
    again.add_argument("half_year", help="2017H1")
    costing = commands.add_parser("cost", help="what a half-year's training will take: steps, minutes, memory")
    costing.add_argument("model", help="as in the catalog: lf_multitask, ...")
    costing.add_argument("half_year", help="2017H1")
    costing.add_argument("--measure", action="store_true", help="time some steps, though an earlier training was timed")
    costing.add_argument("--json", action="store_true", help="print the figures as JSON")
    commands.add_parser("home", help="prepare the Dagster home of the lake and print it")
    commands.add_parser("table", help="print the results of the last run again")
    reading.add_commands(commands)
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message=".*(Beta|Preview|beta|preview).*")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    if chosen.command in reading.COMMANDS:
        return reading.run(chosen, settings().lake_url)
    if chosen.command == "real":
        data = Path(chosen.data).resolve()
        if not data.is_dir():
            raise SystemExit(f"{data} is not a folder; give the folder that holds daily_csi800_ever_2013_2023")
        os.environ.setdefault("MG_SETTINGS", str(CHECKOUT / "deploy" / "real.yaml"))
        os.environ["MG_DATA"] = str(data)
    if chosen.command == "ingest":
        from mg_assets.cli.ingest import run as ingest

        screen = Screen()
        return ingest(chosen, screen.line, screen.progress)
    if chosen.command == "replay":
        from mg_assets.cli.replay import run as replay

        return replay(chosen, settings())
    if chosen.command == "what-if":
        from mg_assets.portfolios.what_if import command

        return command(chosen.portfolio, chosen.change, chosen.week, chosen.html)
    if chosen.command == "retrain-check":
        from mg_assets.modelling.reproduce import command as retrain_check

        return retrain_check(chosen.model, chosen.half_year, Screen().line)
    if chosen.command == "cost":
        from mg_assets.modelling.monitor import command as cost

        return cost(chosen.model, chosen.half_year, chosen.measure, chosen.json, Screen().line)
    home = prepare_home(settings())
    if chosen.command == "home":
        print(home)
        return 0
    from mg_assets.cli.results import print_results

    screen = Screen()
    if chosen.command != "table":
        screen.line(
            f"lake {settings().lake_url}, source {settings().source['kind']}, {settings().worker_count} workers"
        )
        spent = build(settings(), screen)
        screen.line(f"built in {sum(spent.values()):.0f} s")
    print_results(settings())
    return 0


if __name__ == "__main__":
    sys.exit(main())
