"""The labelled arguments of one call, on common axes.

1. Each labelled argument is read on its own labels (:mod:`mg_axes.read`).
2. Axes that the call names (its days, its symbols) are taken; the others come from the first labelled argument of
   ``by``, ascending, or from all of them together.
3. Each argument is put on them: what it lacks is missing, what it has beyond them is refused.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import pandas as pd

from mg_axes.read import WORDS, Block, LabelError, as_days, is_labelled, read

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Layout:
    """How an argument lies.

    Attributes
    ----------
    dims : str
        Its axes in order: ``d`` day, ``s`` stock, ``f`` feature, ``g`` factor of a risk model.
    missing : float, bool, int or None
        Its value where it has no label; None refuses. A flag or whole number is converted to its type.
    is_axis : bool
        The argument is the labels themselves.
    otherwise : str
        Its axis where it has one only: values of all days, or of all stocks.
    wider : bool
        It describes days and stocks (a flag, a code, a label of training) and may cover others too, which are left out;
        else what it has beyond the axes is refused.
    """

    dims: str
    missing: float | bool | int | None = np.nan
    is_axis: bool = False
    otherwise: str = ""
    wider: bool = False


PANEL = Layout("ds")
FLAGS = Layout("ds", False, wider=True)
CODES = Layout("ds", -1, wider=True)
WEIGHTS = Layout("ds", 0.0)
CUBE = Layout("dsf")
BY_DAY = Layout("d")
BY_STOCK = Layout("s")
BY_FEATURE = Layout("f")
STOCK_FLAGS = Layout("s", False, wider=True)
STOCK_CODES = Layout("s", -1, wider=True)
STOCK_WEIGHTS = Layout("s", 0.0)
DAYS = Layout("d", is_axis=True)
SYMBOLS = Layout("s", is_axis=True)
FEATURES = Layout("f", is_axis=True)

Axes = dict[str, np.ndarray]
"""Labels by axis: days as ``datetime64[D]`` under "d", symbols under "s", names under "f" and "g"."""


def align(
    error: type[Exception],
    layouts: Mapping[str, Layout],
    given: Mapping[str, Any],
    by: Sequence[str] = (),
    together: bool = False,
) -> tuple[dict[str, Any], Axes]:
    """Put labelled arguments on common axes.

    Parameters
    ----------
    error : type of Exception
        Raised for what does not fit.
    layouts : mapping of str to Layout
        By argument.
    given : mapping of str to object
        The arguments; None is absent, a mapping is aligned entry by entry. Bare arrays come back as they are.
    by : sequence of str
        Arguments whose labels are the axes, the first that has labels first; by default all, in order.
    together : bool
        Take the labels of all of ``by`` together.

    Returns
    -------
    values : dict of str to object
        Every argument as given, or dense: float64, bool for flags, int64 for codes.
    axes : dict of str to ndarray
        The axes; empty where nothing was labelled.

    Raises
    ------
    Exception
        Of the type ``error``, in one line: what does not match, of which argument, and what to do.
    """
    flat = {(name, key): value for name in layouts for key, value in _entries(given.get(name)) if value is not None}
    if not any(is_labelled(value) for (name, _), value in flat.items() if not layouts[name].is_axis):
        return dict(given), {}
    try:
        named = {
            layouts[name].dims: _labels(layouts[name].dims, value, name)
            for (name, _), value in flat.items()
            if layouts[name].is_axis
        }
        blocks = {
            at: _read(_title(*at), value, layouts[at[0]])
            for at, value in flat.items()
            if not layouts[at[0]].is_axis and is_labelled(value)
        }
        names = {layout.dims: name for name, layout in layouts.items() if layout.is_axis}
        axes, sources = _axes(named, {dim: names[dim] for dim in named}, blocks, by or list(layouts), together)
        out = dict(given)
        for at, value in flat.items():
            name, key = at
            layout = layouts[name]
            if layout.is_axis:
                fitted = axes[layout.dims]
            elif at in blocks:
                fitted = _fitted(_title(*at), blocks[at], layout, axes, sources)
            else:
                _refuse_bare(_title(*at), layout, named, sources)
                fitted = value
            if key is None:
                out[name] = fitted
            else:
                out[name] = {**out[name], key: fitted}
    except LabelError as wrong:
        raise error(str(wrong)) from None
    for name, layout in layouts.items():
        if layout.is_axis and given.get(name) is None and name in given:
            out[name] = axes.get(layout.dims)
    return out, axes


def aligned(
    error: type[Exception], by: Sequence[str] = (), together: bool = False, result: str = "", **layouts: Layout
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Align the labelled arguments of a function; see :func:`align`.

    Parameters
    ----------
    error, by, together
        See :func:`align`.
    result : str
        Axes of an array that the function returns: it gets their labels where the arguments had some.
    **layouts : Layout
        By argument. One with ``is_axis`` is filled in where the caller leaves it out.

    Returns
    -------
    callable
        A decorator; a call without labels goes straight to the function.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = {name: bound.arguments[name] for name in layouts}
            values, axes = align(error, layouts, given, by, together)
            if not axes:
                return function(*args, **kwargs)
            bound.arguments.update(values)
            found = function(*bound.args, **bound.kwargs)
            return cast(R, labelled_result(cast(np.ndarray, found), result, axes)) if result else found

        return call

    return decorate


def labelled_result(values: np.ndarray, dims: str, axes: Axes) -> Any:
    """An array with its labels.

    Parameters
    ----------
    values : ndarray
        On the axes ``dims``.
    dims : str
        ``d``, ``s``, ``ds``, ``sf`` or ``dsf``; an axis that is not among the labels is left out.
    axes : dict of str to ndarray
        From :func:`align`.

    Returns
    -------
    Series or DataFrame
        Of three axes: rows (date, symbol), a column for each feature.
    """
    names = {"d": "date", "s": "symbol", "f": "feature"}
    dims = "".join(dim for dim in dims if dim in axes)
    index = {
        dim: pd.Index(axes[dim].astype("datetime64[us]") if dim == "d" else axes[dim], name=names[dim]) for dim in dims
    }
    if len(dims) == 1:
        return pd.Series(values, index[dims])
    if len(dims) == 2:
        return pd.DataFrame(values, index[dims[0]], index[dims[1]])
    rows = pd.MultiIndex.from_product([index["d"], index["s"]])
    return pd.DataFrame(values.reshape(len(rows), -1), rows, index["f"])


def bare(name: str, value: Any, error: type[Exception]) -> Any:
    """Return an array as it is, or refuse one with labels that the function does not align.

    Parameters
    ----------
    name : str
        Of the argument.
    value : object
        Whatever was handed in.
    error : type of Exception
        Raised for labels.

    Returns
    -------
    object
        The value.

    Raises
    ------
    Exception
        Of the type ``error``.
    """
    if is_labelled(value):
        raise error(f"{name} has labels, which are not aligned here: give a bare array in the order of the others")
    return value


def _read(name: str, value: Any, layout: Layout) -> Block:
    try:
        return read(name, value, layout.dims)
    except LabelError:
        if not layout.otherwise:
            raise
        try:
            return read(name, value, layout.otherwise)
        except LabelError:
            pass
        raise


def _entries(value: Any) -> list[tuple[str | None, Any]]:
    """Key and value of each entry of a mapping, or the value alone; an xarray Dataset is a mapping too."""
    return list(value.items()) if isinstance(value, Mapping) and not is_labelled(value) else [(None, value)]


def _labels(dim: str, value: Any, name: str) -> np.ndarray:
    """The labels that an argument consists of."""
    if dim == "d":
        return as_days(value, name)
    values = value.tolist() if hasattr(value, "tolist") else list(value)
    return np.array([str(x) for x in values], dtype=object)


def _axes(
    named: Axes,
    names: Mapping[str, str],
    blocks: Mapping[tuple[str, str | None], Block],
    by: Sequence[str],
    together: bool,
) -> tuple[Axes, dict[str, str]]:
    """The axes of a call, and the argument that each comes from."""
    axes, sources = dict(named), dict(names)
    order = sorted(blocks, key=lambda at: by.index(at[0]) if at[0] in by else len(by))
    wanted = [at for at in order if at[0] in by] if together else order
    for dim in dict.fromkeys(dim for at in order for dim in blocks[at].labels):
        if dim in axes:
            continue
        found = [(at, blocks[at].labels[dim]) for at in wanted or order if dim in blocks[at].labels]
        found = found or [(at, blocks[at].labels[dim]) for at in order if dim in blocks[at].labels]
        labels = [values for _, values in (found if together else found[:1])]
        if dim in "ds":
            axes[dim] = np.unique(np.concatenate(labels))
        else:
            axes[dim] = np.array(list(dict.fromkeys(x for values in labels for x in values)), dtype=object)
        sources[dim] = _title(*found[0][0])
    return axes, sources


def _fitted(name: str, block: Block, layout: Layout, axes: Axes, sources: Mapping[str, str]) -> np.ndarray:
    """A block on the axes."""
    values = block.values
    dims = layout.dims if set(layout.dims) <= set(block.labels) else layout.otherwise
    for k, dim in enumerate(dims):
        own = pd.Index(block.labels[dim])
        place = own.get_indexer(pd.Index(axes[dim]))
        lacking = place < 0
        extra = ~own.isin(axes[dim])
        if extra.any() and not (layout.wider and (place >= 0).any()):
            raise LabelError(_beyond(name, WORDS[dim], own[extra], axes[dim], sources[dim]))
        if lacking.any() and layout.missing is None:
            raise LabelError(
                f"{name} lacks {int(lacking.sum())} of the {WORDS[dim]} of {sources[dim]}, the first "
                f"{axes[dim][lacking][0]}: give a value for each"
            )
        if len(axes[dim]) and not len(own):
            raise LabelError(f"{name} was empty: it has no {WORDS[dim]}, {sources[dim]} has {len(axes[dim])}")
        values = np.take(values, place, axis=k)
        if lacking.any():
            values = values.astype({"b": object, "O": object, "M": values.dtype}.get(values.dtype.kind, np.float64))
            absent = {"O": None, "M": np.datetime64("NaT")}.get(values.dtype.kind, np.nan)
            values[(slice(None),) * k + (lacking,)] = absent
    return _typed(name, values, layout.missing)


def _typed(name: str, values: np.ndarray, missing: float | bool | int | None) -> np.ndarray:
    """Values in the type of what stands for a missing one; dates stay dates."""
    if values.dtype.kind == "M":
        return values
    if isinstance(missing, bool) or (missing is None and values.dtype.kind in "bO"):
        if values.dtype.kind == "b":
            return np.ascontiguousarray(values)
        absent = pd.isna(values)
        if missing is None and absent.any():
            raise LabelError(f"{name} had {int(absent.sum())} missing values, expected true or false everywhere")
        filled = np.where(absent, bool(missing), values)
        if not np.isin(filled.astype(np.float64), (0.0, 1.0)).all():
            raise LabelError(f"{name} had values other than true and false")
        return filled.astype(bool)
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    if missing is None:
        if np.isnan(numbers).any():
            raise LabelError(f"{name} had {int(np.isnan(numbers).sum())} missing values, expected a number everywhere")
        return numbers
    if isinstance(missing, int):
        whole = np.where(np.isnan(numbers), missing, numbers)
        if (whole != np.rint(whole)).any():
            raise LabelError(f"{name} had values that are no whole numbers")
        return whole.astype(np.int64)
    return np.where(np.isnan(numbers), missing, numbers) if missing == missing else numbers


def _beyond(name: str, word: str, extra: pd.Index, axis: np.ndarray, source: str) -> str:
    begins = f" (that of {source} begins with {axis[0]})" if len(axis) else ""
    return (
        f"{name} has {len(extra)} {word} that are not in {source}, the first {_text(extra[0])}{begins}: drop them from "
        f"{name}, or add them to {source}"
    )


def _text(label: Any) -> str:
    return str(np.datetime64(label, "D")) if isinstance(label, pd.Timestamp) else str(label)


def _refuse_bare(name: str, layout: Layout, named: Axes, sources: Mapping[str, str]) -> None:
    unknown = [dim for dim in layout.dims if dim in sources and dim not in named]
    if unknown:
        raise LabelError(
            f"{name} is a bare array, {sources[unknown[0]]} has labels: give {name} with its "
            f"{' and '.join(WORDS[dim] for dim in layout.dims)} too"
        )


def _title(name: str, key: str | None = None) -> str:
    return name if key is None else f"{name}[{key}]"
