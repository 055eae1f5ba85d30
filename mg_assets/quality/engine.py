"""Validation of limits by Great Expectations, which only this module imports (on first use: 5-8 s)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pandas as pd

from mg_assets.errors import DataError
from mg_assets.quality.suite import Limit, plain
from mg_assets.settings.values import known_names

KEY = "partition"
UNUSED_ARGUMENTS = (
    *("id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "severity"),
    *("windows", "batch_id"),
)
"""Of every expectation, that decide nothing of the result."""


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


@dataclass(frozen=True)
class FrameResult:
    """What an expectation found in a frame.

    Attributes
    ----------
    broken : int
        Rows that break it, where it fails; at least 1 then, 0 where it holds.
    figure : str
        The observed value, or the share of rows that break it.
    examples : list of dict
        The first of those rows.
    """

    broken: int
    figure: str = ""
    examples: list[dict[str, Any]] = field(default_factory=list)


def validate_frame(frame: pd.DataFrame, expectation: str, arguments: Mapping[str, Any]) -> FrameResult:
    """Validate a partition's rows against one expectation.

    Parameters
    ----------
    frame : DataFrame
    expectation : str
        As ``expect_column_values_to_be_between``.
    arguments : mapping

    Returns
    -------
    FrameResult
        What cannot be evaluated breaks it: the reason is the example.
    """
    batches = _batches()
    from great_expectations.expectations.registry import get_expectation_impl

    index = {"unexpected_index_column_names": ["symbol"]} if "symbol" in frame.columns else {}
    found = batches.get_batch(batch_parameters={"dataframe": frame}).validate(
        get_expectation_impl(expectation)(**arguments), result_format={"result_format": "SUMMARY", **index}
    )
    result = found.result
    if not result:
        reasons = found.exception_info if isinstance(found.exception_info, dict) else {}
        texts = [v.get("exception_message") for v in reasons.values() if isinstance(v, dict)]
        texts.append(reasons.get("exception_message"))
        return FrameResult(1, "", [{"error": " ".join(str(next(filter(None, texts), "no result")).split())}])
    count = int(result.get("unexpected_count") or 0)
    figure = f"observed {plain(result['observed_value'])}" if "observed_value" in result else ""
    if count:
        figure = f"{count} of {result['element_count']} rows ({result['unexpected_percent']:.3g}%)"
    if found.success:
        return FrameResult(0, figure)
    rows = result.get("partial_unexpected_index_list") or [
        {"value": v} for v in result.get("partial_unexpected_list") or ()
    ]
    examples = [{str(k): plain(v) for k, v in row.items()} for row in rows]
    return FrameResult(max(count, 1), figure, examples or [{"found": figure}])


def expectation_problem(expectation: str, arguments: Mapping[str, Any]) -> str:
    """What is wrong with the name or the arguments of an expectation; empty where nothing is."""
    _batches()
    from great_expectations.expectations import registry

    known = registry.list_registered_expectation_implementations()
    if expectation not in known:
        return (
            f"there is no {expectation}; {known_names(expectation, known, where='greatexpectations.io/expectations')}"
        )
    kind = registry.get_expectation_impl(expectation)
    fields = [name for name in kind.__fields__ if name not in UNUSED_ARGUMENTS]
    unknown = [name for name in arguments if name not in fields]
    if unknown:
        return f"{expectation} has no argument {unknown[0]}; {known_names(unknown[0], fields)}"
    try:
        kind(**arguments)
    except ValueError as error:  # pydantic's
        faults: list[dict[str, Any]] = getattr(error, "errors", list)()
        texts = [" ".join([*(str(p) for p in f["loc"] if p != "__root__"), f["msg"]]) for f in faults]
        return f"{expectation}: {'; '.join(texts) or error}"
    return ""
