"""Every published model as one entry: inputs, network, loss, label, split, seeds, hyper-parameters.

A model is a network, a loss and an entry here; one trainer serves them all. ``CATALOG`` holds the trained models,
``COMBINATIONS`` the signals combined from other signals or from factors. Names are those of the reports' published
tables, so that results join to them.
"""

from collections.abc import Container, Iterable, Mapping

from mg_models.catalog import series_69, series_72, series_88, variants, weekly_monitor
from mg_models.catalog.overrides import derive, override
from mg_models.errors import CatalogError
from mg_models.specs.combination import CombinationSpec
from mg_models.specs.data import InputSpec, LabelSpec, SplitSpec
from mg_models.specs.model import ModelSpec

__all__ = [
    "CATALOG",
    "COMBINATIONS",
    "HAND_WEIGHTED",
    "REPORTS",
    "STANDARD_INPUTS",
    "CombinationSpec",
    "InputSpec",
    "LabelSpec",
    "ModelSpec",
    "SplitSpec",
    "derive",
    "get",
    "override",
    "signal_names",
    "trained_parts",
]

REPORTS = (series_72, series_88, weekly_monitor, series_69, variants)

"""Modules of the catalog, each with its entries at the top level."""

CATALOG: dict[str, ModelSpec] = {entry.name: entry for report in REPORTS for entry in report.MODELS}
COMBINATIONS: dict[str, CombinationSpec] = {entry.name: entry for report in REPORTS for entry in report.COMBINATIONS}

HAND_WEIGHTED: dict[str, int] = {name: c.look_back for name, c in COMBINATIONS.items() if c.rule != "fuse"}
"""Signals of factors weighted by rule, and the trading days before a day that the weights depend on."""

STANDARD_INPUTS: dict[str, InputSpec] = {i.panel: i for spec in reversed(CATALOG.values()) for i in spec.inputs}
"""How the first model of the catalog that reads a panel reads it."""

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


def trained_parts(
    names: Iterable[str],
    models: Mapping[str, ModelSpec] = CATALOG,
    combinations: Mapping[str, CombinationSpec] = COMBINATIONS,
    others: Container[str] = (),
) -> tuple[str, ...]:
    """The trained models behind some signals, in order, each once.

    Of a model, itself; of a head, its model; of a fusion, the models of its parts; of factors weighted by hand, none.

    Parameters
    ----------
    names : iterable of str
        Signals of the catalog.
    models, combinations : mapping
        Entries by name: the catalog, or more.
    others : container of str
        Further parts, behind which there is no model.

    Returns
    -------
    tuple of str
        Keys of ``models``.

    Raises
    ------
    CatalogError
        A name that is none of them.
    """
    model_of = _MODEL_OF if models is CATALOG else {s: name for name, entry in models.items() for s in entry.signals}
    out: dict[str, None] = {}
    for name in names:
        if name in model_of:
            out[model_of[name]] = None
        elif name in combinations:
            if combinations[name].rule == "fuse":
                out |= dict.fromkeys(trained_parts(combinations[name].parts, models, combinations, others))
        elif name not in others:
            there = ", ".join((*model_of, *combinations))
            raise CatalogError(f"no signal {name!r} in the catalog; there are {there}")
    return tuple(out)
