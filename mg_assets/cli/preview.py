"""``mg run --plan``: what a run would build and why, by stage and table; nothing is built or written."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from mg_assets.assets import TABLES
from mg_assets.cli.estimate import Estimate, duration, seeds_of
from mg_assets.cli.plan import BuildStep, check_run, run_steps
from mg_assets.errors import SettingsError
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.orchestration.restatements import span_of
from mg_assets.settings import Settings
from mg_assets.sources import build_source

FOLLOWS = "up to date now, reads what is built"


def plan_lines(config: Settings) -> list[str]:
    """What a run of the settings would build.

    Parameters
    ----------
    config : Settings

    Returns
    -------
    list of str
        A line each stage, and below it one each table or tables with the same partitions and reasons.

    Raises
    ------
    SettingsError
        The settings ask for what the source cannot give: a line each.
    """
    lake, source = Lake(config.lake_url), build_source(config.source.kind, config.source.options)
    refused, warnings = check_run(config, source, lake)
    if refused:
        raise SettingsError(*refused)
    stages = [step for step in run_steps(config, source) if step.keys and step.tables]
    seen = LakeSnapshot(lake, every_table=True)
    stale = [{t: TABLES.stale_reasons(source, t, step.keys, seen) for t in step.tables} for step in stages]
    following = _following(seen, stages, stale)
    estimate, count = Estimate(stages, seen, seeds_of(config)), 0
    lines = [f"warning: {line}" for line in warnings]
    for number, (step, wanted, after) in enumerate(zip(stages, stale, following, strict=True), 1):
        estimate.expect(number, wanted)
        count += sum(map(len, wanted.values()))
        lines += [f"stage {number} of {len(stages)}: {step.title}: {_of_stage(step, wanted, after)}"]
        lines += [f"   {line}" for line in _of_tables(step, wanted, after)]
    if not count:
        return [*lines, "nothing is to be built"]
    more = sum(len(keys) for after in following for keys in after.values())
    rest = f"; {more:,} more are built again where what they read comes out with other content" if more else ""
    return [*lines, f"{count:,} partitions are to be built in about {duration(estimate.left())}{rest}"]


def _following(
    seen: LakeSnapshot, stages: Sequence[BuildStep], stale: Sequence[Mapping[str, Mapping[str, str]]]
) -> list[dict[str, list[str]]]:
    """Partitions of each stage's tables that are up to date and read what is built, at whatever distance."""
    built: dict[str, list[str]] = {}
    for wanted in stale:
        for table, reasons in wanted.items():
            built.setdefault(table, []).extend(reasons)
    found = TABLES.dependents(seen, {t: keys for t, keys in built.items() if keys})
    each = []
    for step in stages:
        keys = set(step.keys)
        each.append({t: [k for k in found.get(t, ()) if k in keys] for t in step.tables})
    return each


def _of_stage(step: BuildStep, wanted: Mapping[str, Mapping[str, str]], after: Mapping[str, Sequence[str]]) -> str:
    keys = {k for reasons in wanted.values() for k in reasons}
    if not keys and not any(after.values()):
        return "up to date"
    if not keys:
        return "reads what is built"
    tables = sum(map(bool, wanted.values()))
    return f"{len(keys):,} of {len(step.keys):,} partitions of {tables} table{'' if tables == 1 else 's'}"


def _of_tables(
    step: BuildStep, wanted: Mapping[str, Mapping[str, str]], after: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Tables with the same partitions for the same reasons in one line."""
    together: dict[str, list[str]] = {}
    for table, reasons in wanted.items():
        counts = Counter("damaged" if why.startswith("damaged: ") else why for why in reasons.values())
        counts.update({FOLLOWS: len(after[table])} if after[table] else {})
        if not counts:
            continue
        keys = sorted({*reasons, *after[table]})
        span = "" if keys == [WHOLE] else f", {span_of(keys)}"
        each = ", ".join(f"{number:,} ({why})" for why, number in counts.most_common())
        together.setdefault(f"{each}{span}", []).append(table)
    for text, tables in together.items():
        yield f"{', '.join(tables)}: {text}"
