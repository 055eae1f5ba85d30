"""The YAML files beside this module, and the user's own."""

from pathlib import Path
from typing import Any

import yaml

from mg_assets.errors import SourceError

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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path} holds {type(content).__name__}; a mapping was expected")
    return content
