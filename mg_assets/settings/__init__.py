"""Settings of a deployment: where the lake is, which source fills it, which dates exist.

A YAML file named by ``MG_SETTINGS`` (by default ``deploy/demo.yaml`` of the checkout, if present); an environment
variable ``MG_`` and the setting's name overrides each value. Nothing needs to be set. Every key of every level is
checked when the settings are read: :class:`~mg_assets.errors.SettingsError` names where a wrong one was set.
"""

import os
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mg_assets.settings.files import CHECKOUT, DEFAULT_FILE, read_settings_file, replace_text, write_settings_file

if TYPE_CHECKING:
    from mg_assets.settings.groups import EvaluationSettings, RunSettings, TradingSettings
    from mg_assets.settings.load import check_accepted, load_settings
    from mg_assets.settings.model import Settings
    from mg_assets.settings.source_kinds import SourceSettings

__all__ = [
    "CHECKOUT",
    "DEFAULT_FILE",
    "EvaluationSettings",
    "RunSettings",
    "Settings",
    "SourceSettings",
    "TradingSettings",
    "check_accepted",
    "load_settings",
    "read_settings_file",
    "replace_text",
    "settings",
    "write_settings_file",
]

_MODULES = {
    "EvaluationSettings": "groups",
    "RunSettings": "groups",
    "Settings": "model",
    "SourceSettings": "source_kinds",
    "TradingSettings": "groups",
    "check_accepted": "load",
    "load_settings": "load",
}


@lru_cache(maxsize=1)
def settings() -> "Settings":
    """Read the deployment's settings once a process."""
    from mg_assets.settings.load import load_settings

    return load_settings(os.environ.get("MG_SETTINGS"))


def __getattr__(name: str) -> Any:
    """Import the model on first use: `mg --help` reads no settings, and pydantic takes 0.13 s of CPU."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mg_assets.settings.{_MODULES[name]}"), name)
