"""The settings that a source can carry: catalog, portfolios, half-years, universes, days; and what it leaves out.

``mg ingest`` writes them beside the lake, so that the ``mg run`` that it prints builds everything that these data can
give and nothing that they cannot.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mg_assets.cli.coverage import Coverage
from mg_assets.cli.requirements import MEMBERS, NO_TICKS, least_stocks, model_problem
from mg_assets.evaluation import MIN_DAYS
from mg_assets.factors.registry import ALL34, FACTORS
from mg_assets.market.calendar import half_year_name, half_year_of
from mg_assets.market.schema import INDICES
from mg_assets.settings.values import FIRST_DAY
from mg_models.catalog import CATALOG, COMBINATIONS, override, trained_parts
from mg_models.specs.model import ModelSpec
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS

OF_TICKS = ("hf_gru",)
"""Signals that are proposed where there are ticks or minute bars, the best first."""
OF_BARS = ("lf_multitask", "price_volume_ensemble")
"""And of daily bars."""
LIGHT = ("price_volume_ensemble",)
"""Of a large market: minutes where the others take an hour on two cores."""
LARGE = 1_000_000  # stocks times days
HALF_YEARS = 4  # the newest that are trained, of a large market half as many
FEW_STOCKS = 15  # fewer give no cross-section to learn from
SPARE = 5  # stocks above the least that an evaluation takes: so many may be halted on a day
FUSION = "fused"
ENHANCED = "{index}_turnover30"


@dataclass
class Proposal:
    """Settings that the data can carry.

    Attributes
    ----------
    settings : dict
        As a settings file holds them, without source and lake.
    carries : list of str
        What a run of them builds, a line each.
    left_out : list of str
        What it does not, why, and what would bring it; a line each.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    carries: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def propose(coverage: Coverage) -> Proposal:
    """Settings for what a source has.

    Parameters
    ----------
    coverage : Coverage

    Returns
    -------
    Proposal
    """
    out = Proposal()
    _add_days(out, coverage)
    models, half_years = _add_models(out, coverage)
    _add_portfolios(out, coverage, models)
    out.settings["run"]["half_years"] = half_years
    if half_years:
        out.settings["first_model"] = half_years[0]
    universes = ["all", *(i for i in INDICES if coverage.members.get(i, 0) >= MEMBERS)]
    out.settings["evaluation"] = {"universes": universes}
    days, most = len(coverage.bars), max(coverage.stocks, default=0)
    if days < MIN_DAYS or most < MIN_STOCKS:
        out.left_out.append(
            f"evaluation: needs {MIN_DAYS} days and {MIN_STOCKS} stocks that trade, the source has {days} and {most}; "
            "give more, and run mg ingest again"
        )
        return out
    out.carries.append(f"evaluation of factors and signals on {', '.join(universes)}, weekly report")
    if (fewest := min(coverage.stocks)) < MIN_STOCKS + SPARE:
        have = f"{most}" if fewest == most else f"{fewest} to {most}"
        out.left_out.append(
            f"evaluation of days on which fewer than {MIN_STOCKS} stocks trade: the source has {have}, and a halt may "
            "make a day one of them; give some more stocks"
        )
    if len(universes) == 1:
        out.left_out.append(
            "universes of index members: need them; give a table of members (docs/sources.md: membership)"
        )
    return out


def _add_days(out: Proposal, coverage: Coverage) -> None:
    """Days of the run, and which of them have ticks or minute bars."""
    every, intraday = coverage.every, coverage.intraday
    run: dict[str, Any] = {"daily_from": every[0], "until": every[-1]}
    if every[0] < FIRST_DAY:  # else the graph would begin after the source's first years
        out.settings["first_day"] = every[0]
    first = coverage.contiguous_from()
    single = [d for d in intraday if first is None or d < first]
    if first is not None:
        run["ticks_from"] = first
    if single:
        run["tick_days"] = single
    out.settings["run"] = run
    if coverage.daily:
        out.carries.append(
            f"daily bars of {_span(coverage.daily)}, {_stocks(coverage)}; daily and common factors, labels"
        )
    if not intraday:
        out.left_out.append(f"{len(ALL34)} intraday factors, features of the day: need {NO_TICKS}")
        return
    kinds = " and ".join(
        text for text, table in (("ticks", "trades"), ("minute bars", "minute_bars")) if coverage.days[table]
    )
    made = "" if coverage.daily else ", daily bars made of them"
    out.carries.append(
        f"{kinds} of {_span(intraday)}{made}: {len(_computable(coverage))} intraday factors, features of the day"
    )
    if single and first is None and len(intraday) > 1:
        out.left_out.append(
            "means of factors over 20 days: the days with ticks or minute bars are too few or too far apart; give the "
            "days between"
        )
    _add_gaps(out, coverage)


def _add_gaps(out: Proposal, coverage: Coverage) -> None:
    """What a source without trades, orders or a reference leaves null."""
    null = len(ALL34) - len(_computable(coverage))
    if null:
        what = "level-2 ticks" if not coverage.days["trades"] else "the order stream of the same days"
        counts = "minute_bars.volume" in coverage.columns and "minute_bars.num_trades" not in coverage.columns
        what += " (some of them the number of trades of each bar)" if counts else ""
        out.left_out.append(
            f"{null} of the {len(ALL34)} intraday factors are null: need {what}; give them in this folder"
        )
    if not coverage.days["reference"]:
        out.left_out.append(
            "reference price, limits, ST, float shares and adjustment factor are null (the factor 1: returns over an "
            "ex-date are wrong): need daily bars; give any vendor's in the same folder (docs/sources.md)"
        )


def _computable(coverage: Coverage) -> list[str]:
    """Intraday factors whose tables the source has, on any day, and whose columns its minute bars have."""
    have = {table for table, days in coverage.days.items() if days} | {"daily_bars", "minute_bars"}
    bars = {c for c in coverage.columns if c.startswith("minute_bars.")}  # of bars that are not made of trades
    return [
        name
        for name in ALL34
        if {i.partition(".")[0] for i in FACTORS[name].inputs} <= have
        and (not bars or {i for i in FACTORS[name].inputs if i.startswith("minute_bars.")} <= bars)
    ]


def _add_models(out: Proposal, coverage: Coverage) -> tuple[list[str], list[str]]:
    """Catalog, overrides and half-years: those that all proposed models can be trained for."""
    stocks = int(np.median(coverage.stocks)) if coverage.stocks else 0
    large = stocks * len(coverage.bars) > LARGE
    of_bars = LIGHT if large else OF_BARS
    fits: dict[str, list[str]] = {}
    if coverage.stocks and stocks < FEW_STOCKS:
        out.left_out.append(f"models: need {FEW_STOCKS} stocks or more, the source has {stocks}; give more stocks")
    else:
        fits = _trainable(out, (*(OF_TICKS if coverage.intraday else ()), *of_bars), coverage)
        if large:
            rest = ", ".join(n for n in OF_BARS if n not in LIGHT)
            out.left_out.append(f"{rest}: an hour of training and more on {stocks:,} stocks; add it to catalog")
    common = sorted(set.intersection(*map(set, fits.values()))) if fits else []
    for name in of_bars if not common else ():  # what all lack in common, the models of ticks lack
        common = common or fits.get(name, [])
    half_years = common[-(HALF_YEARS // 2 if large else HALF_YEARS) :]
    catalog = [name for name, found in fits.items() if set(half_years) <= set(found)]
    catalog += [FUSION] if set(COMBINATIONS[FUSION].parts) <= set(catalog) else []
    models = trained_parts(catalog)
    least = {m: _for_few(CATALOG[m], coverage).min_stocks for m in models}
    changes = {m: {"min_stocks": n} for m, n in least.items() if n != CATALOG[m].min_stocks}
    out.settings |= {"catalog": catalog, "models": changes}
    if catalog:
        few = f" on {next(iter(changes.values()))['min_stocks']} stocks a day or more" if changes else ""
        out.carries.append(f"{', '.join(models)} trained for {' '.join(half_years)}{few}; their signals")
    return catalog, half_years


def _trainable(out: Proposal, names: Iterable[str], coverage: Coverage) -> dict[str, list[str]]:
    """Half-years that each signal's models can be trained for; the others are left out."""
    every = [half_year_name(h) for h in np.unique(half_year_of(np.array(coverage.bars)))]
    fits: dict[str, list[str]] = {}
    for name in names:
        specs = [_for_few(CATALOG[m], coverage) for m in trained_parts([name])]
        why = {h: next(filter(None, (model_problem(s, coverage, h, whole=True) for s in specs)), None) for h in every}
        fits[name] = [h for h in every if why[h] is None]
        if not fits[name]:
            out.left_out.append(str(why[every[-1]]))
    return {name: found for name, found in fits.items() if found}


def _for_few(spec: ModelSpec, coverage: Coverage) -> ModelSpec:
    """A model that asks for as many stocks a day as there are, where there are few."""
    if not coverage.stocks or np.median(coverage.stocks) * 0.6 >= spec.min_stocks:
        return spec
    return override(spec, min_stocks=least_stocks(coverage))


def _add_portfolios(out: Proposal, coverage: Coverage, signals: list[str]) -> None:
    """Portfolios on the indices with weights, on the best signal that there is."""
    out.settings["portfolios"] = {}
    known = [i for i in INDICES if f"{i}_weight" in coverage.columns and coverage.members.get(i, 0) >= MEMBERS]
    if not signals:
        out.left_out.append("portfolios: need a signal of a trained model")
    elif not known:
        out.left_out.append(
            f"portfolios: need weights and {MEMBERS} members of an index; give a table of index weights "
            "(docs/sources.md: membership, weights)"
        )
    else:
        names = [ENHANCED.format(index=i) for i in known]
        out.settings["portfolios"] = {name: {"signal": signals[-1]} for name in names}
        out.carries.append(f"portfolios {', '.join(names)} on {signals[-1]}, and their backtests")


def _span(days: tuple[str, ...]) -> str:
    return f"{len(days)} days {days[0]}..{days[-1]}" if len(days) > 1 else f"{days[0]}"


def _stocks(coverage: Coverage) -> str:
    return f"{int(np.median(coverage.stocks)):,} stocks" if coverage.stocks else "no stocks"
