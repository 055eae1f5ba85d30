"""The steps of ``mg run``: which tables are built together over which partitions, in the order of the data."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mg_assets.assets import ASSET_OF, TABLES, half_yearly_tables, weekly_tables, whole_tables
from mg_assets.assets.models import HAND_WEIGHTED, SIGNALS
from mg_assets.assets.own_factors import OF_DAYS, OF_TICKS
from mg_assets.cli.coverage import Coverage, coverage_of, days_of
from mg_assets.cli.requirements import NO_TICKS, model_problem, portfolio_problem
from mg_assets.cli.score_stocks import named, stocks_of, unknown_stocks
from mg_assets.errors import DataError
from mg_assets.evaluation import MIN_DAYS
from mg_assets.factors.granular import GRANULARITIES
from mg_assets.factors.own import SCORES
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_name, half_year_of, month_of, trading_days, week_of
from mg_assets.modelling.score_tables import scores_of
from mg_assets.orchestration.partitions import END, lake_key
from mg_assets.settings import Settings
from mg_assets.sources.base import Source

CHUNK = 250  # partitions in one run: a year


@dataclass(frozen=True)
class BuildStep:
    """Tables built together over the same partitions (keys as in the lake)."""

    title: str
    tables: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class RunSpan:
    """Which days a run covers, and which of them with ticks or minute bars: of the setting ``run`` and the source."""

    config: Settings
    source: Source

    @cached_property
    def days(self) -> list[str]:
        """Trading days of the run, ascending; of a source without daily tables those with ticks or minute bars."""
        first = max(str(self.config.run.daily_from or self.source.days()[0]), self.config.first_day)
        every = [str(d) for d in trading_days(first, self.last)]
        if self.has.days["daily_bars"] or self.has.days["reference"]:
            return every
        return sorted(set(every).intersection(self.has.intraday))

    @cached_property
    def has(self) -> Coverage:
        """The days of the source's tables."""
        return Coverage(days_of(self.source))

    @cached_property
    def last(self) -> str:
        """Last day of the run."""
        return str(self.config.run.until or END or self.source.days()[-1])

    @cached_property
    def tick_days(self) -> list[str]:
        """Contiguous days with ticks or minute bars, gaps among them included; the source's own by default."""
        run, found = self.config.run, self.has.intraday
        given = run.ticks_from if run.ticks_from or run.tick_days else self.has.contiguous_from()
        return [d for d in self.days if given and found and str(given) <= d <= found[-1]]

    @cached_property
    def single_tick_days(self) -> list[str]:
        """Scattered days with ticks or minute bars before those: too few for model features."""
        run = self.config.run
        scattered = {str(d) for d in run.tick_days} if run.ticks_from or run.tick_days else {*self.has.intraday}
        return sorted(scattered.intersection(self.days).difference(self.tick_days))

    @cached_property
    def half_years(self) -> tuple[str, ...]:
        """Half-years that models are trained for."""
        return self.config.run.half_years

    @cached_property
    def predicted_days(self) -> list[str]:
        """Days of those half-years."""
        names = [half_year_name(h) for h in half_year_of(np.array(self.days))]
        return [d for half in self.half_years for d, name in zip(self.days, names, strict=True) if name == half]


def run_steps(config: Settings, source: Source) -> list[BuildStep]:
    """The steps of a run, in the order of the data.

    Parameters
    ----------
    config : Settings
        Its ``run`` says what is built.
    source : Source
        Of raw tables; decides the span where the settings do not.

    Returns
    -------
    list of BuildStep
        Steps without partitions or tables included.
    """
    span = RunSpan(config, source)
    return [*_market_steps(span), *_model_steps(span), *_portfolio_steps(span)]


def check_run(config: Settings, source: Source, lake: Lake) -> tuple[list[str], list[str]]:
    """What a run is asked to build and cannot, and what it leaves out; nothing is built to find out.

    Parameters
    ----------
    config : Settings
    source : Source
        A few days of its daily tables are read, from the first to the last.
    lake : Lake
        What it has already is not asked for.

    Returns
    -------
    refused : list of str
        A line each, with the reason and the remedy.
    warnings : list of str
        Stocks that a file of scores has and the source does not: a line each signal.
    """
    span = RunSpan(config, source)
    refused: list[str] = []
    if (config.run.ticks_from or config.run.tick_days) and not span.has.intraday:
        refused.append(f"run.{'ticks_from' if config.run.ticks_from else 'tick_days'} needs {NO_TICKS}, or take it out")
    more, warnings = _unknown_scores(config, source)
    return refused + more + _unknown_half_years(span) + _lacking_of_source(span, lake), warnings


def _unknown_scores(config: Settings, source: Source) -> tuple[list[str], list[str]]:
    """Files of scores that cannot be read or of which the source has no stock, and those of which it lacks some."""
    refused, warnings = list[str](), list[str]()
    for signal in config.catalogs.tables.values():
        try:
            scores = scores_of(signal)
        except DataError as error:
            refused.append(str(error))
            continue
        unknown, every = unknown_stocks(scores, source), stocks_of(scores)
        where = f"signal {signal.name}: {signal.path}: the source"
        if unknown and len(unknown) == len(every):
            refused.append(
                f"{where} has none of its {len(every)} stocks ({named(unknown)}) on their days; check the codes"
            )
        elif unknown:
            warnings.append(
                f"{where} does not have {len(unknown)} of its {len(every)} stocks ({named(unknown)}) on their days: "
                "no portfolio holds them"
            )
    return refused, warnings


def _trained(span: RunSpan) -> tuple[tuple[str, ...], list[str]]:
    """Models that are trained, and the half-years of the graph; none of these without models."""
    models = span.config.catalogs.trained(span.config.catalog)
    return models, partition_keys(half_yearly_tables()[0]) if models else []


def _unknown_half_years(span: RunSpan) -> list[str]:
    """Half-years that models are to be trained for and the graph does not have."""
    models, known = _trained(span)
    return [
        f"run.half_years: {half} is no half-year of the graph: {known[0]} to {known[-1]} are, by first_model and "
        "end_date"
        for half in span.half_years
        if models and half not in known
    ]


def _lacking_of_source(span: RunSpan, lake: Lake) -> list[str]:
    """Models and portfolios that the lake lacks and the source cannot carry."""
    config, known = span.config, span.config.catalogs
    models, half_years = _trained(span)
    wanted = {
        model: [h for h in span.half_years if h in half_years and not lake.has(f"{model}_model", h)] for model in models
    }
    portfolios = [name for name in config.portfolios if span.predicted_days and not lake.keys(f"weights_{name}")]
    if not any(wanted.values()) and not portfolios:
        return []
    coverage = coverage_of(span.source)
    of_models = (
        next(filter(None, (model_problem(known.models[model], coverage, h) for h in halves)), None)
        for model, halves in wanted.items()
    )
    of_portfolios = (portfolio_problem(known.portfolios[name], coverage, SIGNALS) for name in portfolios)
    return [line for line in (*of_models, *of_portfolios) if line]


def _market_steps(span: RunSpan) -> Iterator[BuildStep]:
    """Raw tables, bars, factors and labels."""
    daily = ("reference", "daily_bars") + (("planted_signal",) if span.config.source.kind == "simulated" else ())
    with_ticks = [*span.single_tick_days, *span.tick_days]
    without = sorted(set(span.days).difference(with_ticks))
    snapshots = any(span.source.has("snapshots", dt.date.fromisoformat(d)) for d in with_ticks)
    ticks = (*(("snapshots",) if snapshots else ()), "trades", "orders", "minute_bars")
    chain = (*daily, *ticks, "intraday_factors", "features_day", *GRANULARITIES)
    yield BuildStep("daily bars and reference data", daily, tuple(without))
    yield BuildStep("single tick days", (*chain, *OF_TICKS), tuple(span.single_tick_days))
    scores = ("factor_inputs", "factor_scores")
    yield BuildStep("ticks, bars and factors", (*chain, *scores, *OF_TICKS), tuple(span.tick_days))
    days = np.array(span.days, "datetime64[D]")
    yield BuildStep("weekly bars", ("weekly_bars",), _among_partitions("weekly_bars", week_of(days)))
    yield BuildStep("monthly bars", ("monthly_bars",), _among_partitions("monthly_bars", month_of(days)))
    first = str(span.config.run.factors_from or "")
    with_factors = tuple(d for d in span.days if d >= first)
    yield BuildStep("daily and common factors", ("daily_factors", "common_factors", *OF_DAYS), with_factors)
    if OF_DAYS or OF_TICKS:
        yield BuildStep("scores of own factors", (SCORES,), with_factors if OF_DAYS else tuple(span.tick_days))
    yield BuildStep("labels", ("labels",), tuple(span.days))


def _model_steps(span: RunSpan) -> Iterator[BuildStep]:
    """Models, predictions and signals; without half-years to train for, the signals that need no model."""
    yield BuildStep("training", tuple(half_yearly_tables()), span.half_years)
    if span.half_years:
        signals = tuple(s for s in SIGNALS if span.tick_days or s not in HAND_WEIGHTED)
        yield BuildStep("predictions and signals", signals, tuple(span.predicted_days))
        return
    free = [s for s in SIGNALS if s not in HAND_WEIGHTED and not span.config.catalogs.trained([s])]
    yield BuildStep("hand-weighted signals", tuple(HAND_WEIGHTED), tuple(span.tick_days))
    yield BuildStep("signals without models", tuple(free), tuple(span.days))


def _portfolio_steps(span: RunSpan) -> Iterator[BuildStep]:
    """Weights, backtests, evaluation and the report of the last week; nothing where there are too few days."""
    if not span.predicted_days and len(span.days) < MIN_DAYS:
        return
    first = str(span.config.run.portfolios_from or (span.predicted_days or span.days)[0])
    weeks = _among_partitions("weekly_bars", week_of(trading_days(first, span.last)))
    weeks = tuple(k for k in weeks if k >= first)
    weights = tuple(t for t in weekly_tables() if t.startswith("weights_"))
    yield BuildStep("portfolio weights", weights, weeks)
    yield BuildStep("backtests and evaluation", tuple(whole_tables()), (WHOLE,))
    yield BuildStep("weekly report", ("weekly_report",), weeks[-1:])


def _among_partitions(table: str, starts: Iterable[object]) -> tuple[str, ...]:
    """Partition keys of a table among the given period starts."""
    keys = set(partition_keys(table))
    return tuple(k for k in dict.fromkeys(str(s) for s in starts) if k in keys)


def partition_keys(table: str) -> list[str]:
    """Every lake key that a table can have, ascending."""
    definition = TABLES[table].definition
    return [WHOLE] if definition is None else [lake_key(k, definition) for k in definition.get_partition_keys()]


def partition_ranges(
    stale: Mapping[str, Sequence[str]], keys: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Contiguous ranges of at most ``CHUNK`` partitions over which the same tables are to be built.

    Tables that come from one pass over their source are built together. What reads a table that is built follows in a
    later pass, where the content has changed.

    Parameters
    ----------
    stale : dict of str to sequence of str
        Stale keys of each table of a step, in the order of the data.
    keys : sequence of str
        All keys that the tables can have, ascending.

    Yields
    ------
    tables : tuple of str
    first, last : str
        Ends of the range, both included.
    """
    wanted: dict[str, dict[str, None]] = {}  # key -> tables, in the step's order
    for table, missing in stale.items():
        for key in missing:
            wanted.setdefault(key, {}).update(dict.fromkeys(ASSET_OF[table].tables))
    position = {k: i for i, k in enumerate(keys)}
    chunk: list[str] = []
    for key in sorted(wanted):
        if chunk and (
            position[key] != position[chunk[-1]] + 1 or len(chunk) == CHUNK or set(wanted[key]) != set(wanted[chunk[0]])
        ):
            yield tuple(wanted[chunk[0]]), chunk[0], chunk[-1]
            chunk = []
        chunk.append(key)
    if chunk:
        yield tuple(wanted[chunk[0]]), chunk[0], chunk[-1]
