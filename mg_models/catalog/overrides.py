"""A catalog entry with some hyper-parameters changed, checked against their present types."""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from mg_models.errors import CatalogError
from mg_models.specs import InputSpec, ModelSpec

PARTS = ("network", "loss", "label", "split")
LOCKED = {"name", "inputs", *PARTS, "universe", "description", "source", "kind", "price", "transform"}
MAY_BE_ZERO = {
    "correlation_penalty", "dropout", "weight_decay", "reconstruction", "contrast", "mlp", "check_every", "batch_days",
    "batch_stocks", "train_days", "valid_days", "task_attention_heads",
}  # fmt: skip
BELOW_ONE = {"valid_share", "dropout"}


def override(spec: ModelSpec, **changes: Any) -> ModelSpec:
    """A copy of an entry with some hyper-parameters changed.

    Keys are fields of :class:`~mg_models.specs.ModelSpec`, of its network, loss, label or split
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


def _checked(model: str, holder: object, key: str, value: Any) -> Any:
    choices = get_args(get_type_hints(type(holder))[key])
    if choices and all(isinstance(c, str) for c in choices):  # a Literal
        if value not in choices:
            raise CatalogError(f"{model}: {key} must be one of {', '.join(choices)}, was {value!r}")
        return value
    return _in_range(model, key, getattr(holder, key), value)


def _in_range(model: str, key: str, present: Any, value: Any) -> Any:
    """``value`` in the type of ``present``; ints pass for floats, lists of ints for tuples."""
    kind = type(present)
    wrong = CatalogError(f"{model}: {key} must be {kind.__name__} like {present!r}, was {value!r}")
    if kind is tuple:
        if not isinstance(value, list | tuple) or not value or not all(type(v) is int for v in value):
            raise wrong
        if len(set(value)) != len(value):
            raise CatalogError(f"{model}: {key} holds a value twice: {value!r}")
        if key == "horizons" and (len(present) > 1 or len(value) > 1 or value[0] < 1):
            raise CatalogError(
                f"{model}: horizons must be one number above 0 and stay where they name a model's heads "
                f"({list(present)}), was {value!r}"
            )
        return tuple(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise wrong
    if kind is not bool and not (value > 0 or (key in MAY_BE_ZERO and value == 0)):
        raise CatalogError(f"{model}: {key} must be positive, was {value!r}")
    if key in BELOW_ONE and value >= 1:
        raise CatalogError(f"{model}: {key} must be below 1, was {value!r}")
    return value
