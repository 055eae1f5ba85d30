"""Canonical text of what decides a table's values: specifications, lists and settings."""

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel

DESCRIPTIVE = frozenset({"description", "source", "published"})
"""Fields of specifications that describe them and leave every value as it is."""


def canonical(config: Any) -> str:
    """JSON of a configuration, equal for equal ones: dataclasses and settings by their fields, sets sorted.

    Parameters
    ----------
    config : object
        Dataclasses, pydantic models, mappings, sequences, sets, NumPy arrays, dates, numbers, texts and None, nested.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        Something else is in it: its text could be the same for other values.
    """
    return json.dumps(_plain(config), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: (f, getattr(value, f.name)) for f in dataclasses.fields(value) if f.name not in DESCRIPTIVE}
        return {
            "is": type(value).__name__,
            # a field that was added later, at its default, leaves the recipes of before as they are
            **{n: _plain(v) for n, (f, v) in fields.items() if not (f.metadata.get("optional") and v == f.default)},
        }
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(v) for v in value), key=json.dumps)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{value!r} has no canonical text: give dataclasses, mappings, sequences, numbers or texts")
