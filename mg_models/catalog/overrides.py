"""Entries made of others: some hyper-parameters changed, or a model of one's own like another one.

Values are checked against the types of the present ones.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_type_hints

from mg_models.errors import CatalogError
from mg_models.specs.data import InputSpec
from mg_models.specs.losses import LOSSES
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import NETWORKS

NAME = re.compile(r"[a-z][a-z0-9_]*")
TEXTS = {"description": "one sentence", "universe": "liquid, or nothing for every stock with inputs"}
UNIVERSES = ("", "liquid")
PARTS = ("network", "loss", "label", "split")
LOCKED = {"name", "inputs", *PARTS, "universe", "description", "source", "kind", "price", "transform"}
MAY_BE_ZERO = {
    "correlation_penalty", "dropout", "weight_decay", "reconstruction", "contrast", "mlp", "check_every", "batch_days",
    "batch_stocks", "train_days", "valid_days", "task_attention_heads",
}  # fmt: skip
BELOW_ONE = {"valid_share", "dropout"}
AT_MOST_ONE = {"min_share"}


def override(spec: ModelSpec, **changes: Any) -> ModelSpec:
    """A copy of an entry with some hyper-parameters changed.

    Keys are fields of :class:`~mg_models.specs.model.ModelSpec`, of its network, loss, label or split
    (``hidden``, ``correlation_penalty``, ``horizons``, ``every``, ...), or ``steps`` / ``clip``, a mapping
    from input to value (``steps={"daily": 60}``) or one value for all.

    Parameters
    ----------
    spec : ModelSpec
        An entry of the catalog.
    **changes
        Hyper-parameters by name.

    Returns
    -------
    ModelSpec
        The copy.

    Raises
    ------
    CatalogError
        An unknown key, or a value of the wrong type or out of range.
    """
    owner: dict[str, Any] = {f.name: spec for f in dataclasses.fields(spec)}
    for part in PARTS:
        holder = getattr(spec, part)
        owner |= {f.name: holder for f in dataclasses.fields(holder)}
    inputs = spec.inputs
    wanted: dict[int, dict[str, Any]] = {}
    for key, value in changes.items():
        if key in ("steps", "clip"):
            inputs = _override_inputs(spec, inputs, key, value)
            continue
        if key not in owner or key in LOCKED:
            allowed = sorted(set(owner) - LOCKED | {"steps", "clip"})
            raise CatalogError(f"{spec.name}: no hyper-parameter {key!r}; there are {', '.join(allowed)}")
        wanted.setdefault(id(owner[key]), {})[key] = _checked(spec.name, owner[key], key, value)
    parts = {p: dataclasses.replace(getattr(spec, p), **wanted.get(id(getattr(spec, p)), {})) for p in PARTS}
    return dataclasses.replace(spec, **wanted.get(id(spec), {}), **parts, inputs=inputs)


def derive(base: ModelSpec, name: str, standard: Mapping[str, InputSpec], **changes: Any) -> ModelSpec:
    """A model of one's own that is another one but for some changes.

    Keys are those of :func:`override`, and ``inputs``, ``network``, ``loss``, ``label``, ``split``, ``universe``,
    ``description``, ``horizons``, ``price`` and ``transform``. A part is a mapping of its fields; of a network or loss
    of another kind, its ``kind`` with them, or the kind alone. ``inputs`` is a list of mappings of the fields of
    :class:`~mg_models.specs.data.InputSpec`.

    Parameters
    ----------
    base : ModelSpec
    name : str
        Lower-case letters, digits and underscores.
    standard : mapping of str to InputSpec
        How models read each panel: what an input leaves out, unless the base has it.
    **changes
        By name.

    Returns
    -------
    ModelSpec
        Its ``source`` says that it is like the base.

    Raises
    ------
    CatalogError
        A name or key that is not allowed, a value of the wrong type or out of range, or parts that do not go together.
    """
    if not NAME.fullmatch(name):
        raise CatalogError(f"{name}: a model's name is of lower-case letters, digits and _, and begins with a letter")
    wanted = dict(changes)
    parts: dict[str, Any] = {}
    for part in ("network", "loss", "label", "split"):
        if part in wanted:
            parts[part] = _part(name, getattr(base, part), part, wanted.pop(part))
    if "inputs" in wanted:
        parts["inputs"] = _inputs(name, {**standard, **{i.panel: i for i in base.inputs}}, wanted.pop("inputs"))
    for key in TEXTS.keys() & wanted:
        value = wanted.pop(key)
        if not isinstance(value, str) or (key == "universe" and value not in UNIVERSES):
            raise CatalogError(f"{name}: {key} must be {TEXTS[key]}, was {value!r}")
        parts[key] = value
    label = {key: wanted.pop(key) for key in ("horizons", "price", "transform") if key in wanted}
    if label:
        parts["label"] = _part(name, parts.get("label", base.label), "label", label)
    source = f"ours, like {base.name}" + (f" ({base.source})" if base.source else "")
    made = dataclasses.replace(base, **{"source": source, **parts}, name=name)
    return override(made, **wanted)


def _part(model: str, present: Any, part: str, given: Any) -> Any:
    """A network, loss, label or split: the present one with some fields changed, or one of another kind."""
    kinds = {"network": NETWORKS, "loss": LOSSES}.get(part, {})
    fields = {"kind": given} if isinstance(given, str) and kinds else given
    if not isinstance(fields, Mapping):
        what = f"one of {', '.join(kinds)}, or a mapping" if kinds else "a mapping"
        raise CatalogError(f"{model}: {part} must be {what} of fields to values, was {given!r}")
    fields = dict(fields)
    kind = fields.pop("kind", None) if kinds else None
    if kind is not None and kind != getattr(present, "kind", None):
        if kind not in kinds:
            raise CatalogError(f"{model}: no {part} {kind!r}; there are {', '.join(kinds)}")
        present = kinds[kind]()
    known = [f.name for f in dataclasses.fields(present) if f.name != "kind"]
    for key in fields:
        if key not in known:
            raise CatalogError(f"{model}: {part} has no {key!r}; there are {', '.join(known)}")
    free = part == "label"
    return dataclasses.replace(present, **{k: _checked(model, present, k, v, free) for k, v in fields.items()})


def _inputs(model: str, standard: Mapping[str, InputSpec], given: Any) -> tuple[InputSpec, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise CatalogError(f"{model}: inputs must be a list of mappings, as [{{panel: hf, steps: 30}}], was {given!r}")
    return tuple(_input(model, standard, one) for one in given)


def _input(model: str, standard: Mapping[str, InputSpec], given: Any) -> InputSpec:
    known = [f.name for f in dataclasses.fields(InputSpec)]
    if not isinstance(given, Mapping) or not isinstance(given.get("panel"), str):
        raise CatalogError(
            f"{model}: an input must be a mapping with a panel, as {{panel: hf, steps: 30}}, was {given!r}"
        )
    panel = given["panel"]
    for key in given:
        if key not in known:
            raise CatalogError(f"{model}: input {panel} has no {key!r}; there are {', '.join(known)}")
    columns = given.get("columns", ())
    if not isinstance(columns, list | tuple) or not all(isinstance(c, str) for c in columns):
        raise CatalogError(f"{model}: columns of input {panel} must be a list of factors' names, was {columns!r}")
    if len(set(columns)) < len(columns):
        raise CatalogError(f"{model}: columns of input {panel} hold a name twice: {list(columns)}")
    if panel not in standard and not columns:
        raise CatalogError(f"{model}: no input {panel!r} without columns; there are {', '.join(standard)}")
    if panel not in standard and "steps" not in given:
        raise CatalogError(f"{model}: input {panel} needs steps, the rows of a window")
    present = standard.get(panel, InputSpec(panel, 1))
    changes: dict[str, Any] = {"columns": tuple(columns)}
    for key in ("steps", "min_share", "per_day", "scale", "clip"):
        if key in given and not (key == "clip" and given[key] is None):
            template = dataclasses.replace(present, clip=1.0) if key == "clip" else present
            changes[key] = _checked(model, template, key, given[key])
    if "clip" in given and given["clip"] is None:
        changes["clip"] = None
    return dataclasses.replace(present, **changes)


def _override_inputs(spec: ModelSpec, inputs: tuple[InputSpec, ...], key: str, value: Any) -> tuple[InputSpec, ...]:
    names = [i.panel for i in inputs]
    wanted = dict(value) if isinstance(value, Mapping) else dict.fromkeys(names, value)
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise CatalogError(f"{spec.name}: {key} names inputs {unknown}; the model has {', '.join(names)}")
    template: Any = 1 if key == "steps" else 1.0
    checked: dict[str, Any] = {
        n: None if key == "clip" and v is None else _in_range(spec.name, f"{key}[{n}]", template, v)
        for n, v in wanted.items()
    }
    changes: list[dict[str, Any]] = [{key: checked[n]} if n in checked else {} for n in names]
    return tuple(dataclasses.replace(i, **c) for i, c in zip(inputs, changes, strict=True))


def _checked(model: str, holder: object, key: str, value: Any, free: bool = False) -> Any:
    """``value`` as a field of ``holder``; a ``free`` list of horizons may name other heads."""
    choices = get_args(get_type_hints(type(holder))[key])
    if choices and all(isinstance(c, str) for c in choices):  # a Literal
        if value not in choices:
            raise CatalogError(f"{model}: {key} must be one of {', '.join(choices)}, was {value!r}")
        return value
    return _in_range(model, key, getattr(holder, key), value, free)


def _in_range(model: str, key: str, present: Any, value: Any, free: bool = False) -> Any:
    """``value`` in the type of ``present``; ints pass for floats, lists of ints for tuples."""
    kind = type(present)
    wrong = CatalogError(f"{model}: {key} must be {kind.__name__} like {present!r}, was {value!r}")
    if kind is tuple:
        if not isinstance(value, list | tuple) or not value or not all(type(v) is int for v in value):
            raise wrong
        if len(set(value)) != len(value):
            raise CatalogError(f"{model}: {key} holds a value twice: {value!r}")
        if key == "horizons" and free and min(value) < 1:
            raise CatalogError(f"{model}: horizons must be above 0, was {value!r}")
        if key == "horizons" and not free and (len(present) > 1 or len(value) > 1 or value[0] < 1):
            raise CatalogError(
                f"{model}: horizons must be one number above 0 and stay where they name a model's heads "
                f"({list(present)}), was {value!r}"
            )
        return tuple(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise wrong
    if kind is str:
        return value
    if kind is not bool and not (value > 0 or (key in MAY_BE_ZERO and value == 0)):
        raise CatalogError(f"{model}: {key} must be positive, was {value!r}")
    if key in BELOW_ONE and value >= 1:
        raise CatalogError(f"{model}: {key} must be below 1, was {value!r}")
    if key in AT_MOST_ONE and value > 1:
        raise CatalogError(f"{model}: {key} must be at most 1, was {value!r}")
    return value
