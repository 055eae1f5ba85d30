"""Settings from their file and the environment, each problem with where it was set."""

import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mg_assets.errors import SettingsError
from mg_assets.extensions import is_file, load_modules
from mg_assets.settings.files import CHECKOUT, DEFAULT_FILE, read_settings_file, variables_of
from mg_assets.settings.model import Settings
from mg_assets.settings.problems import Origin, problems
from mg_assets.settings.values import known_names

VARIABLES = {f"MG_{name.upper()}": name for name in Settings.model_fields}
"""The setting of each environment variable."""

OTHER_VARIABLES = (
    *("MG_SETTINGS", "MG_DATA", "MG_UI_HOSTS", "MG_SHARED_DATA", "MG_SCREENSHOTS"),
    *("MG_PG", "MG_RAY"),  # of deploy/cluster/dagster.yaml
)
TEXTS = ("lake", "first_day", "end_date", "first_model", "device", "training_logs", "webhook", "language", "gains")
LISTS = ("catalog", "extensions", "portfolios")
"""A comma-separated list each; ``portfolios`` may be JSON as well."""


def load_settings(file: str | None = None) -> Settings:
    """Settings of a file and the environment.

    Parameters
    ----------
    file : str, optional
        Relative to the working directory or to the checkout; :data:`DEFAULT_FILE`, which may be absent, by default.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        The file cannot be read, or a setting of it or of the environment is unknown or not allowed. One line each.
    """
    path = _path(file)
    if file and not os.path.lexists(path):
        raise SettingsError(f"settings file {file} is absent; MG_SETTINGS names a YAML file")
    values = read_settings_file(path, expand=True)
    given, found = _of_environment(variables_of(path))
    values |= given
    origin = Origin(str(path), {n: f"MG_{n.upper()}" for n in given})
    values |= _beside(values, path.absolute().parent, origin)
    try:
        checked = Settings.model_validate(values)
    except ValidationError as error:
        found += problems(error, values, origin)
    if found:
        raise SettingsError(*found)
    return checked


def check_accepted(accepted: Mapping[str, Mapping[str, object]], checks: Mapping[str, Collection[str]]) -> None:
    """Refuse a table or a check of the setting ``accepted`` that there is none of.

    Parameters
    ----------
    accepted : mapping
        The setting.
    checks : mapping of str to collection of str
        Names of each table's checks.

    Raises
    ------
    SettingsError
        One line for each unknown name.
    """
    variables = {"accepted": "MG_ACCEPTED"} if "MG_ACCEPTED" in os.environ else {}
    origin = Origin(str(_path(os.environ.get("MG_SETTINGS"))), variables)
    found = []
    for table, by_check in accepted.items():
        where, key = origin.subject(("accepted", table))
        if table not in checks:
            found.append(f"{where}{key} is no table with checks; {known_names(table, checks, where='docs/quality.md')}")
            continue
        found += [
            f"{where}{key}.{name} is no check of {table}; {known_names(name, checks[table])}"
            for name in by_check
            if name not in checks[table]
        ]
    if found:
        raise SettingsError(*found)


def _beside(values: Mapping[str, Any], folder: Path, origin: Origin) -> dict[str, Any]:
    """The settings ``extensions``, its modules imported, ``signals`` and ``code_changes`` with paths made absolute.

    Returns
    -------
    dict
        Without what is absent or of the wrong type, which the validation reports.

    Raises
    ------
    SettingsError
        A line for each module that cannot be imported.
    """
    out: dict[str, Any] = {}
    signals = values.get("signals")
    if isinstance(signals, Mapping):
        out["signals"] = {
            name: {**entry, "table": str(folder / Path(entry["table"]).expanduser())}
            if isinstance(entry, Mapping) and isinstance(entry.get("table"), str)
            else entry
            for name, entry in signals.items()
        }
    if isinstance(changes := values.get("code_changes"), str):
        out["code_changes"] = str(folder / Path(changes).expanduser())
    names = values.get("extensions")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return out
    found = []
    for at, name in enumerate(names):
        try:
            load_modules([name], folder)
        except SettingsError as error:
            subject = "".join(origin.subject(("extensions", at)))
            found.append(f"{subject} was {name!r}; {str(error).removeprefix(f'extension {name}: ')}")
    if found:
        raise SettingsError(*found)
    return out | {"extensions": [str((folder / Path(n).expanduser()).resolve()) if is_file(n) else n for n in names]}


def _path(file: str | None) -> Path:
    """The settings file: as it is named, else in the checkout."""
    path = Path(file) if file else DEFAULT_FILE
    return path if path.is_absolute() or os.path.lexists(path) else CHECKOUT / path


def _of_environment(mentioned: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """Settings whose variable is set, and the variables that no setting has or that cannot be read."""
    given: dict[str, Any] = {}
    found: list[str] = []
    for variable, text in sorted(os.environ.items()):
        if variable in VARIABLES:
            try:
                given[VARIABLES[variable]] = _parsed(VARIABLES[variable], text)
            except (ValueError, RecursionError) as error:
                found.append(f"{variable} is not JSON: {error}")
        elif variable.startswith("MG_") and variable not in {*OTHER_VARIABLES, *mentioned}:
            found.append(f"{variable} is unknown; {known_names(variable, [*VARIABLES, *OTHER_VARIABLES])}")
    return given, found


def _parsed(name: str, text: str) -> Any:
    """The value of an environment variable: text, a comma-separated list, an integer, or JSON."""
    if name in TEXTS:
        return text
    if name in LISTS and not text.lstrip().startswith("{"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if name in ("workers", "half_years_per_run"):
        return int(text) if re.fullmatch(r"\s*-?\d{1,9}\s*", text) else text
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys are each given once."""
    keys = [key for key, _ in pairs]
    twice = [key for i, key in enumerate(keys) if key in keys[:i]]
    if twice:
        raise ValueError(f"{twice[0]} is set twice in the same object")
    return dict(pairs)
