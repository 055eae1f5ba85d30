"""Conformance tests of one's own factors, models, sources and portfolios.

    from mg_assets.testing import check_factor

    check_factor("late_volume.py")  # or the Factor itself; a lake of one's own as data=

Each function runs in pytest or a plain script, on a small simulated exchange unless data are given. It raises an
:class:`AssertionError` of one line at the first rule that is broken, and else returns what was checked.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mg_assets.testing.factors import check_factor
    from mg_assets.testing.models import check_model
    from mg_assets.testing.portfolios import check_portfolio
    from mg_assets.testing.sources import check_source
    from mg_assets.testing.subjects import report

__all__ = ["check_factor", "check_model", "check_portfolio", "check_source", "report"]

_MODULE_OF = {
    "check_factor": "factors",
    "check_model": "models",
    "check_portfolio": "portfolios",
    "check_source": "sources",
    "report": "subjects",
}


def __getattr__(name: str) -> Any:
    """Import a test on first use: those of models load torch."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value
