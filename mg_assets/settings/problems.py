"""What is wrong with settings, one line a problem: where it was set, the key, the value, what was expected."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from mg_assets.settings.entries import PortfolioSettings, SignalSettings
from mg_assets.settings.model import Settings
from mg_assets.settings.source_kinds import SOURCES
from mg_assets.settings.values import Part, known_names, shown

CONTAINERS = {
    "model_type": "a mapping of names to values",
    "model_attributes_type": "a mapping of names to values",
    "dict_type": "a mapping of names to values",
    "list_type": "a list",
    "too_short": "at least one",
}
"""What is expected where pydantic finds another type, by the name of its error."""

ENTRIES: dict[str, type[Part]] = {"portfolios": PortfolioSettings, "signals": SignalSettings}
"""What an entry of a setting holds whose keys are names."""

Path = tuple[str | int, ...]
SECRETS: tuple[Path, ...] = (("webhook",),)
"""Settings whose value no error shows."""


class Origin:
    """Where settings were set.

    Parameters
    ----------
    where : str
        Of those that no variable gives: the settings file.
    variables : mapping of str to str
        Environment variable by setting.
    """

    def __init__(self, where: str, variables: Mapping[str, str]):
        self._where = where
        self._variables = variables

    def subject(self, path: Path) -> tuple[str, str]:
        """Where a setting was set, and its key there."""
        variable = self._variables.get(str(path[0])) if path else None
        if variable is None:
            return f"{self._where}: ", _dotted(path)
        if len(path) > 1 and isinstance(path[1], str):
            return f"{variable}: ", _dotted(path[1:])
        return "", variable + _dotted(path[1:])


def problems(
    error: ValidationError, values: Mapping[str, Any], origin: Origin, model: type[Part] = Settings
) -> list[str]:
    """One line for each problem of a validation.

    Parameters
    ----------
    error : ValidationError
    values : mapping
        What was validated.
    origin : Origin
    model : type
        That validated them.

    Returns
    -------
    list of str
    """
    lines: list[str] = []
    for entry in error.errors(include_url=False):
        path, at = _path(entry["loc"], values)
        lines += _lines(entry, path, at, values, origin, model)
    return list(dict.fromkeys(lines))


def _lines(
    entry: Any, path: Path, at: object, values: Mapping[str, Any], origin: Origin, model: type[Part]
) -> Iterator[str]:
    """The lines of one entry of a validation error."""
    kind, context = entry["type"], entry.get("ctx", {})
    if kind in ("union_tag_not_found", "union_tag_invalid"):  # of a source
        at, path = at.get("kind") if isinstance(at, Mapping) else None, (*path, "kind")
    if path[-1:] == ("[key]",):
        at, path = path[-2], path[:-2]
    where, key = origin.subject(path)
    subject = where + key
    if kind == "several":
        yield from ("".join([*origin.subject((*path, *more)), " ", text]) for more, text in context["found"])
    elif kind in ("extra_forbidden", "invalid_key"):
        known = _known_fields(path, values, model)
        elsewhere = _elsewhere(str(path[-1])) if model is Settings and path[-1] not in known else ""
        yield f"{subject} is unknown; {elsewhere}{known_names(path[-1], known, key[: -len(str(path[-1]))])}"
    elif kind in ("missing", "union_tag_not_found"):
        yield f"{subject} is needed" + (f"; {known_names('', SOURCES)}" if path[-1] == "kind" else "")
    elif kind == "union_tag_invalid":
        yield f"{subject} was {shown(at)}; {known_names(at, SOURCES)}"
    elif kind == "rule":
        yield f"{subject.removesuffix(': ')}: {context['tail']}"
    else:
        is_key = entry["loc"][-1:] == ("[key]",)
        tail = context.get("tail") or f"{'text' if is_key else CONTAINERS.get(kind, entry['msg'])} was expected"
        value = f"{'has the key' if is_key else 'was'} {shown(at)}"
        if path[:1] in SECRETS:
            value = "was another text, which is not shown here"
        yield f"{subject} {value}; {tail}"


def _path(location: Sequence[str | int], values: object) -> tuple[Path, object]:
    """A setting's path, without the kinds of sources that pydantic puts into it, and what was given there."""
    path: list[str | int] = []
    at = values
    for part in location:
        if isinstance(at, Mapping):
            if part not in at and at.get("kind") == part:
                continue
            path.append(str(part))
            at = at.get(part)
        else:
            path.append(part)
            at = at[part] if isinstance(at, Sequence) and isinstance(part, int) else at
    return tuple(path), at


def _known_fields(path: Path, values: Mapping[str, Any], model: type[Part]) -> list[str]:
    """Names of the settings beside one that is unknown."""
    *above, _ = path
    if above and above[0] == "source" and model is Settings:
        at: Any = values
        for part in above:
            at = at[part]
        return list(SOURCES[at["kind"]].model_fields)
    group: Any = model
    for at, part in enumerate(above):
        if at == 1 and above[0] in ENTRIES:
            group = ENTRIES[str(above[0])]
        elif at or above[0] not in ENTRIES:
            group = group.model_fields[str(part)].annotation
    return list(group.model_fields)


def _elsewhere(name: str) -> str:
    """Where a setting is known that was set at another level."""
    places = {k: k for k in Settings.model_fields}
    for group in ("run", "trading", "evaluation"):
        fields: Any = Settings.model_fields[group].annotation
        places |= {k: f"{group}.{k}" for k in fields.model_fields}
    return f"did you mean {places[name]}? " if name in places else ""


def _dotted(path: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
