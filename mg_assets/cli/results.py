"""``mg table``, and the end of ``mg run``: the results beside the planted signal and the published figures."""

import argparse
import os
import shlex
import sys
from typing import TYPE_CHECKING

from mg_assets.cli.arguments import require_tables
from mg_assets.settings import settings

if TYPE_CHECKING:  # loaded when there is something to print
    import pandas as pd

    from mg_assets.lake.store import Lake
    from mg_assets.settings import Settings
    from mg_assets.settings.catalogs import Catalogs

NOT_SETTINGS = ("MG_SHARED_DATA", "MG_SCREENSHOTS")  # of tests
PORTFOLIO_METRICS = {
    "excess_annual": "excess a year",
    "tracking_error": "tracking error",
    "information_ratio": "information ratio",
    "excess_max_drawdown": "excess drawdown",
    "turnover_two_way_per_rebalance": "two-way turnover a week",
}


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg table`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "table",
        help="print the results of the last run again",
        description="Print the results in the settings' lake beside the published figures, as mg run does at its end.",
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the results of the settings' lake."""
    from mg_assets.lake.store import Lake

    require_tables(Lake(settings().lake_url), [])
    print_results(settings())
    return 0


def print_results(config: "Settings") -> None:
    """Print factors, signals and portfolios of a lake, and where to look next."""
    from mg_assets.lake.partition_keys import WHOLE
    from mg_assets.lake.store import Lake

    lake = Lake(config.lake_url)
    print()
    for table, title in (("factor_evaluation", "Factors"), ("signal_evaluation", "Signals")):
        if lake.has(table, WHOLE):
            frame, why = lake.day(table, WHOLE), _not_evaluated(lake, f"{table}_exclusions")
            if frame.empty:
                reasons = "; ".join(dict.fromkeys(why.values())) or "none has enough days in the lake"
                print(f"{title}: none is evaluated: {reasons}\n")
            else:
                print(f"{title}: RankIC with the next week's return (T+1 vwap, five tracks)")
                print(_signals(frame), "\n")
            for name in () if table == "factor_evaluation" else config.catalogs.own_signals:
                if name not in set(frame["name"]):
                    few = f"; {why[name]}" if name in why else ""
                    print(f"{name} is not evaluated: {_without_scores(lake, config.catalogs, name)}{few}\n")
    built = [name for name in config.portfolios if lake.has(f"{name}_backtest", WHOLE)]
    if built:
        print("Portfolios, net of costs: ours (and published, for the real market 2016-2023)")
        print(_portfolios(lake, built), "\n")
    for key in lake.keys("weekly_report")[-1:]:
        print(f"Weekly report:   {lake.address('weekly_report', key)}/report_{config.language}.html")
    if lake.has("signal_study", WHOLE):
        print(f"Signal study:    {lake.address('signal_study', WHOLE)}/signal_study_{config.language}.html")
    print(f"Lake:            {lake.root}")
    print(f"Next:            {ui_command()}   (graph, partitions, checks and plots of the same lake)")


def ui_command() -> str:
    """The command that opens Dagster on the lake of this process, with its settings."""
    given = {k: v for k, v in sorted(os.environ.items()) if k.startswith("MG_") and k not in NOT_SETTINGS}
    command = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("mg") else "mg"
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in given.items()), command, "ui"])


def _signals(frame: "pd.DataFrame") -> str:
    shown = frame[
        ["name", "rank_ic_mean", "published_rank_ic", "rank_ic_ir", "top_excess_annual", "top_information_ratio"]
    ]
    ordered = shown.reindex(shown["rank_ic_mean"].abs().sort_values(ascending=False).index)
    return _text(
        ordered.rename(
            columns={
                "rank_ic_mean": "RankIC",
                "published_rank_ic": "published",
                "rank_ic_ir": "IC_IR",
                "top_excess_annual": "top excess",
                "top_information_ratio": "top IR",
            }
        )
    )


def _without_scores(lake: "Lake", catalogs: "Catalogs", name: str) -> str:
    """Why a signal of the settings has no evaluation: how many of its days have scores, and what the last lacks."""
    from mg_assets.modelling.signals import fused, of_table

    days = lake.keys(name)
    empty = [day for day in days if not len(lake.day(name, day, ["symbol"]))]
    text = f"{len(days) - len(empty)} of {len(days)} days have scores"
    if not empty:
        return text
    mean = catalogs.combinations.get(name)
    last = fused(lake, mean, empty[-1]) if mean else of_table(catalogs.tables[name], empty[-1])
    return f"{text}; {empty[-1]}: {last.why}"


def _not_evaluated(lake: "Lake", table: str) -> dict[str, str]:
    """Why factors or signals have no evaluation, as its exclusions say."""
    from mg_assets.lake.partition_keys import WHOLE

    if not lake.has(table, WHOLE):
        return {}
    rows = lake.day(table, WHOLE, ["scope", "name", "reason"]).query("scope == 'factor'")
    return dict(zip(rows["name"], rows["reason"], strict=True))


def _portfolios(lake: "Lake", names: list[str]) -> str:
    """One row a metric, one column a portfolio."""
    import pandas as pd

    from mg_assets.lake.partition_keys import WHOLE
    from mg_portfolio.report.published import published_value

    rows = [*PORTFOLIO_METRICS.values(), "excess over its placebos", "95% interval of that", "rank among them"]
    frame = pd.DataFrame({"": rows})
    for name in names:
        ours = lake.metadata(f"{name}_backtest", WHOLE).get("metrics", {})
        subject = settings().catalogs.portfolios[name].subject
        cells = []
        for metric in PORTFOLIO_METRICS:
            published = None if subject is None else published_value(subject, metric)
            cells.append(f"{ours.get(metric, float('nan')):.4f}" + ("" if published is None else f" ({published:.4f})"))
        frame[name] = [*cells, *_beside_placebos(lake, name)]
    return frame.to_string(index=False)


def _beside_placebos(lake: "Lake", name: str) -> tuple[str, str, str]:
    """Excess a year over the mean of a portfolio's placebos, its interval, and its rank among them; else empty."""
    from mg_assets.lake.partition_keys import WHOLE

    if not lake.has(f"{name}_placebo", WHOLE):
        return "", "", ""
    whole = lake.metadata(f"{name}_placebo", WHOLE).get("compared", {}).get("whole")
    if whole is None:
        return "", "", ""
    return (
        f"{whole['over_placebos']:.4f}",
        f"{whole['low']:.4f} to {whole['high']:.4f}",
        f"{whole['rank']} of {whole['placebos'] + 1}",
    )


def _text(frame: "pd.DataFrame") -> str:
    formatted = frame.copy()
    for column in formatted.columns:
        if formatted[column].dtype.kind == "f" or column.startswith("publ"):
            formatted[column] = ["" if v is None or v != v else f"{v:.4f}" for v in formatted[column]]
    return formatted.to_string(index=False)
