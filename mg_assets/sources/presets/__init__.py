"""The YAML files beside this module, and the user's own."""

from pathlib import Path
from typing import Any

from mg_assets.errors import SettingsError, SourceError
from mg_assets.settings import read_settings_file

HERE = Path(__file__).parent


def preset_names() -> list[str]:
    """Names of the YAML files that come with the package."""
    return sorted(p.stem for p in HERE.glob("*.yaml"))


def find_preset(name: str | Path) -> Path:
    """A user's YAML file, or the one of that name that comes with the package."""
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    shipped = HERE / f"{path.stem}.yaml"
    if len(path.parts) == 1 and shipped.is_file():
        return shipped
    raise SourceError(
        f"mapping {str(name)!r} is neither a YAML file nor one of the shipped {preset_names()}; check the path"
    )


def read_preset(name: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file."""
    path = find_preset(name)
    try:
        return read_settings_file(path)
    except SettingsError as error:
        raise SourceError(*error.args) from error
