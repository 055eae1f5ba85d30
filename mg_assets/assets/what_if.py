"""What-if from the launchpad: one limit changed, both portfolios in the run's metadata, nothing stored."""

import dagster as dg
from pydantic import Field

from mg_assets.errors import DataError
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.resources import LakeResource
from mg_assets.portfolios.what_if import parse_changes, what_if
from mg_assets.settings import settings


class WhatIf(dg.Config):
    """A question about one week of a stored portfolio."""

    portfolio: str = Field(
        default_factory=lambda: next(iter(settings().portfolios), ""), description="Name in the catalog of portfolios"
    )
    week: str = Field(default="", description="Any day of the week; empty for the last week with weights")
    changes: list[str] = Field(
        default=["turnover_limit=0.25"],
        description="name=value: turnover_limit, stock_limit, member_floor, industry_limit, cost, risk_aversion; a "
        "style (size=0.1); room of one constraint (industry[Banks]=0.01); none takes a limit away",
    )


@dg.op(out=dg.Out(dg.Nothing), description="Solve the stored week again, with and without the changes, and compare")
def compare_portfolios(context: dg.OpExecutionContext, config: WhatIf, lake: LakeResource) -> None:
    """Compare; the output's metadata holds the tables and the plot."""
    from mg_portfolio.charts.figures import markdown_image
    from mg_portfolio.charts.what_if import what_if_chart

    try:
        found = what_if(config.portfolio, config.week or None, lake.open(), **parse_changes(config.changes))
    except DataError as error:
        raise dg.Failure(str(error)) from error
    context.log.info(str(found))
    top = found.weights.head(20)
    context.add_output_metadata(
        {
            "question": found.title,
            "summary": markdown_table(found.summary.reset_index(), ".4g"),
            "weights": markdown_table(top, ".4g"),
            "exposures": markdown_table(found.exposures.reset_index(), ".4g"),
            "shadow_prices": markdown_table(found.shadow_prices.reset_index(), ".4g"),
            "plot": dg.MetadataValue.md(markdown_image(what_if_chart(found))),
        }
    )


@dg.job(
    name="what_if", description="A stored portfolio's week under other limits, beside the one decided; stores nothing"
)
def what_if_job() -> None:
    """Ask one question."""
    compare_portfolios()
