"""Data quality: suites of checks on the lake's tables, validated by Great Expectations.

``run_suite(table, lake, keys)`` measures each partition once, one after the other, and validates the measures of all of
them at once. :func:`rule` and :func:`expect` make rules of one's own (docs/extensions.md). Dagster is not imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mg_assets.quality.rules import Rule, expect, rule
    from mg_assets.quality.runner import run_suite
    from mg_assets.quality.suite import Check, CheckOutcome, Limit, Suite
    from mg_assets.quality.suites import SUITES, suite_for

__all__ = ["SUITES", "Check", "CheckOutcome", "Limit", "Rule", "Suite", "expect", "rule", "run_suite", "suite_for"]

_MODULE_OF = {
    **dict.fromkeys(("Rule", "expect", "rule"), "rules"),
    **dict.fromkeys(("Check", "CheckOutcome", "Limit", "Suite"), "suite"),
    **dict.fromkeys(("SUITES", "suite_for"), "suites"),
    "run_suite": "runner",
}


def __getattr__(name: str) -> Any:
    """Import an exported name on first use: a user's module of rules is imported while the settings are read."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value
