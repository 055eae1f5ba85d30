"""Lake, sources, factors and the Dagster graph."""

from typing import Any

__all__ = ["what_if"]


def __getattr__(name: str) -> Any:
    """Load ``what_if`` when it is asked for: the optimiser takes a second to import."""
    if name == "what_if":
        from mg_assets.portfolios.what_if import what_if

        return what_if
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
