"""Every published model as one entry: inputs, network, loss, label, split, seeds, hyper-parameters.

A model is a network, a loss and an entry here; one trainer serves them all. ``CATALOG`` holds the trained models,
``COMBINATIONS`` the signals combined from other signals or from factors. Names are those of the reports' published
tables, so that results join to them.
"""

from collections.abc import Iterable

from mg_models.catalog import series_69, series_72, series_88, variants, weekly_monitor
from mg_models.catalog.overrides import override
from mg_models.errors import CatalogError
from mg_models.specs import CombinationSpec, InputSpec, LabelSpec, ModelSpec, SplitSpec

__all__ = [
    "CATALOG",
    "COMBINATIONS",
    "HAND_WEIGHTED",
    "CombinationSpec",
    "InputSpec",
    "LabelSpec",
    "ModelSpec",
    "SplitSpec",
    "get",
    "override",
    "signal_names",
    "trained_parts",
]

_REPORTS = (series_72, series_88, weekly_monitor, series_69, variants)

CATALOG: dict[str, ModelSpec] = {entry.name: entry for report in _REPORTS for entry in report.MODELS}
COMBINATIONS: dict[str, CombinationSpec] = {entry.name: entry for report in _REPORTS for entry in report.COMBINATIONS}

HAND_WEIGHTED: dict[str, int] = {name: c.look_back for name, c in COMBINATIONS.items() if c.rule != "fuse"}
"""Signals of factors weighted by rule, and the trading days before a day that the weights depend on."""

_MODEL_OF = {signal: name for name, entry in CATALOG.items() for signal in entry.signals}


def get(name: str) -> ModelSpec:
    """The catalog's entry of a trained model.

    Parameters
    ----------
    name : str
        As in the report's published table: ``"hf_gru"``.

    Returns
    -------
    ModelSpec
        Frozen; :func:`override` copies it with other hyper-parameters.

    Raises
    ------
    CatalogError
        The name is not one of :data:`CATALOG`.
    """
    try:
        return CATALOG[name]
    except KeyError:
        raise CatalogError(f"no trained model {name!r}; the catalog has {', '.join(CATALOG)}") from None


def signal_names() -> tuple[str, ...]:
    """Every signal's name in the catalog.

    Returns
    -------
    tuple of str
        Models, their heads, and combinations.
    """
    return (*_MODEL_OF, *COMBINATIONS)


def trained_parts(names: Iterable[str]) -> tuple[str, ...]:
    """The trained models behind some signals, in order, each once.

    Of a model, itself; of a head, its model; of a fusion, the models of its parts; of factors weighted by hand, none.

    Parameters
    ----------
    names : iterable of str
        Signals of the catalog.

    Returns
    -------
    tuple of str
        Keys of :data:`CATALOG`.

    Raises
    ------
    CatalogError
        A name that is no signal of the catalog.
    """
    out: dict[str, None] = {}
    for name in names:
        if name in _MODEL_OF:
            out[_MODEL_OF[name]] = None
        elif name not in COMBINATIONS:
            raise CatalogError(f"no signal {name!r} in the catalog; there are {', '.join(signal_names())}")
        elif COMBINATIONS[name].rule == "fuse":
            out |= dict.fromkeys(trained_parts(COMBINATIONS[name].parts))
    return tuple(out)
