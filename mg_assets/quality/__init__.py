"""Data quality: suites of checks on the lake's tables, validated by Great Expectations.

``run_suite(table, lake, keys)`` measures each partition once, one after the other, and validates the measures of all of
them at once. Dagster is not imported.
"""

from mg_assets.quality.runner import run_suite
from mg_assets.quality.suite import Check, CheckOutcome, Limit, Suite
from mg_assets.quality.suites import SUITES, suite_for

__all__ = ["SUITES", "Check", "CheckOutcome", "Limit", "Suite", "run_suite", "suite_for"]
