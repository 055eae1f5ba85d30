"""Files of settings: read with all that can be wrong with a file named in one line, and written in one step."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mg_assets.errors import SettingsError

CHECKOUT = Path(__file__).parents[2]
DEFAULT_FILE = CHECKOUT / "deploy" / "demo.yaml"
LARGEST = 1 << 20
"""Bytes of a settings file."""
MOST_VALUES = 20_000
"""Values that a settings file stands for, those of its aliases at each place: seven lines can stand for millions."""
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


class _Loader(yaml.SafeLoader):
    """Dates that do not exist are errors of their line."""

    def date(self, node: yaml.ScalarNode) -> Any:
        """A date, as YAML resolves it."""
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError:
            raise yaml.constructor.ConstructorError(
                None, None, f"there is no date {node.value}", node.start_mark
            ) from None


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.date)


def read_settings_file(path: Path, expand: bool = False) -> dict[str, Any]:
    """What a settings file holds; nothing where it is absent.

    Parameters
    ----------
    path : Path
    expand : bool
        Replace ``$MG_DATA`` and other environment variables: the path of data differs by machine.

    Returns
    -------
    dict
        Setting -> value as in YAML.

    Raises
    ------
    SettingsError
        The file cannot be read, is not UTF-8 or not YAML, holds a key twice or no mapping, or names a variable that
        is not set.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise SettingsError(f"{path} is larger than {LARGEST:,} bytes; is it a settings file?")
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; a YAML file was expected") from error
    text = _decoded(path, content)
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise SettingsError(f"{path} is empty; settings as name: value were expected, or {{}} for the defaults")
        for count, (line, problem) in enumerate(_inspect(root, expand, loader, ())):
            if problem:
                raise SettingsError(f"{path}: line {line}: {problem}")
            if count > MOST_VALUES:
                raise SettingsError(
                    f"{path} stands for more than {MOST_VALUES:,} values, those that aliases repeat too: write fewer"
                )
        values = loader.construct_document(root)
    except SettingsError:
        raise
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SettingsError(f"{path} is not YAML: line {line}: {error.reason} ({error.character!r})") from error
    except yaml.MarkedYAMLError as error:
        raise SettingsError(f"{path} is not YAML: {_where(error)}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise SettingsError(f"{path} is not YAML: {reason}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} must hold settings as name: value, was {type(values).__name__}")
    return values


def variables_of(path: Path) -> set[str]:
    """Names of the environment variables that a settings file mentions."""
    try:
        found = VARIABLE.findall(path.read_text(encoding="utf-8-sig", errors="replace"))
    except OSError:
        return set()
    return {braced or plain for braced, plain in found}


def write_settings_file(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a settings file atomically; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def replace_text(path: Path, text: str) -> None:
    """Replace a small file atomically: a reader or a crash sees either the old text or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.write_text(text, encoding="utf-8", newline="")
    os.replace(beside, path)


def _decoded(path: Path, content: bytes) -> str:
    """A file's text in UTF-8, whatever the locale, with or without a byte order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        guess = " (it may be UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        if not guess:
            try:
                content.decode("gb18030")
                guess = " (it may be GBK)"
            except UnicodeDecodeError:
                pass
        byte = f"byte 0x{content[error.start]:02x}"
        raise SettingsError(f"{path} is not UTF-8: line {line}: {byte}{guess}; save it as UTF-8") from error


def _inspect(node: yaml.Node, expand: bool, loader: _Loader, above: tuple[yaml.Node, ...]) -> Iterator[tuple[int, str]]:
    """Keys given twice and variables that are not set, with their lines; variables that are set are replaced.

    Each value, too, without a problem: what an alias stands for is passed through again at each place.

    Yields
    ------
    tuple of (int, str)
    """
    line = node.start_mark.line + 1
    yield line, ""
    if any(node is n for n in above):
        yield line, "an alias refers to what it is a part of"
    elif isinstance(node, yaml.ScalarNode):
        if expand and "$" in node.value:
            yield from _expand(node, loader)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _inspect(value, expand, loader, (*above, node))
    else:
        seen = set()
        for key, value in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else key
            if name in seen:
                yield key.start_mark.line + 1, f"{key.value} is set twice in the same mapping"
            seen.add(name)
            yield from _inspect(value, expand, loader, (*above, node))


def _expand(node: yaml.ScalarNode, loader: _Loader) -> Iterator[tuple[int, str]]:
    """Replace the variables of a scalar, whose type is then that of the new text."""
    for braced, plain in VARIABLE.findall(node.value):
        if (braced or plain) not in os.environ:
            yield node.start_mark.line + 1, f"${braced or plain} is not set in the environment"
    node.value = os.path.expandvars(node.value)
    if node.style is None:
        node.tag = loader.resolve(yaml.ScalarNode, node.value, (True, False))


def _where(error: yaml.MarkedYAMLError) -> str:
    """Line, column and reason of YAML's parser."""
    mark = error.problem_mark or error.context_mark
    reason = " ".join(f"{error.context or ''} {error.problem or ''}".split())
    tab = "; indent with spaces" if "'\\t'" in reason else ""
    return (f"line {mark.line + 1}, column {mark.column + 1}: " if mark else "") + reason + tab
