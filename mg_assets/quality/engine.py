"""Validation of limits by Great Expectations, which only this module imports (on first use: 5-8 s)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from mg_assets.errors import DataError
from mg_assets.quality.suite import Limit

KEY = "partition"


@dataclass(frozen=True)
class LimitResult:
    """Whether a limit held, and the partitions where it did not."""

    passed: bool
    bad: tuple[str, ...]


@lru_cache(maxsize=1)
def _batches() -> Any:
    """The process's ephemeral context and its batch definition for frames in memory."""
    os.environ["GX_ANALYTICS_ENABLED"] = "False"  # read at import
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset("measures")
    return asset.add_batch_definition_whole_dataframe("run")


def validate_limits(measures: pd.DataFrame, limits: Sequence[Limit]) -> dict[Limit, LimitResult]:
    """Validate a table of measures, one row a partition, against limits in one Great Expectations run.

    Parameters
    ----------
    measures : DataFrame
        Column ``partition`` and a float column for each limit's measure; NaN is not validated.
    limits : sequence of Limit

    Returns
    -------
    dict of Limit to LimitResult

    Raises
    ------
    DataError
        When Great Expectations itself could not evaluate a limit.
    """
    if not len(measures) or not limits:
        return {limit: LimitResult(True, ()) for limit in limits}
    batches = _batches()
    import great_expectations as gx
    import great_expectations.expectations as gxe

    suite = gx.ExpectationSuite(name="suite")
    for number, limit in enumerate(limits):
        suite.add_expectation(
            gxe.ExpectColumnValuesToBeBetween(
                column=limit.measure, min_value=limit.low, max_value=limit.high, meta={"limit": number}
            )
        )
    result = batches.get_batch(batch_parameters={"dataframe": measures}).validate(
        suite,
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": [KEY],
            "partial_unexpected_count": len(measures),
        },
    )
    results = {}
    for found in result.results:
        limit = limits[found.expectation_config.meta["limit"]]
        if "element_count" not in found.result:  # the expectation raised an exception
            raise DataError(f"measure {limit.measure!r} could not be validated: {found.exception_info}")
        bad = tuple(str(r[KEY]) for r in found.result.get("partial_unexpected_index_list") or ())
        results[limit] = LimitResult(bool(found.success), bad)
    return results
