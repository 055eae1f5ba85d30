"""Where each field of an entry comes from: printed by its report, or ours and why.

The lists are in ``provenance.yaml``. ``python -m mg_models.catalog.provenance docs/catalog`` writes them as pages, a
section for each entry.
"""

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from mg_models.catalog import CATALOG, COMBINATIONS, REPORTS
from mg_models.specs.combination import CombinationSpec
from mg_models.specs.model import ModelSpec

TITLES = {
    "series_72": "Huatai series 72",
    "series_88": "Haitong series 88",
    "weekly_monitor": "Haitong weekly of 2023-12-15",
    "series_69": "Huatai series 69",
    "variants": "Variants of our own",
}
PARTS = ("network", "loss", "label", "split")
TEXTS = ("name", "description", "source")  # of an entry, and in no list


def fields_of(entry: ModelSpec | CombinationSpec) -> dict[str, Any]:
    """Every field of an entry with its value; those of its parts as ``network.hidden``, of all inputs together.

    Returns
    -------
    dict of str to object
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        if field.name in PARTS:
            found |= {f"{field.name}.{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)}
        elif field.name == "inputs":
            for f in dataclasses.fields(value[0]):
                each = tuple(getattr(i, f.name) for i in value)
                found[f"inputs.{f.name}"] = each[0] if len(set(each)) == 1 else each
        elif field.name not in TEXTS:
            found[field.name] = value
    return found


def provenance(entry: ModelSpec | CombinationSpec) -> dict[str, dict[str, str]]:
    """What an entry's report prints of it, and what is ours.

    Parameters
    ----------
    entry : ModelSpec or CombinationSpec
        Of the catalog, or a copy with other values: these are ours.

    Returns
    -------
    dict of str to dict of str to str
        ``printed``: field to report and chart. ``ours``: field to reason. Each field of the entry is in one of them, of
        an entry of the catalog; names with a blank are choices that are no field. An entry that is like none of the
        catalog is ours whole.
    """
    fields = fields_of(entry)
    known = CATALOG.get(entry.name) or COMBINATIONS.get(entry.name)
    if known is None:
        return {"printed": {}, "ours": dict.fromkeys(fields, "an entry of one's own")}
    printed, ours = _lists(known.name)
    before = fields_of(known)
    changed = {
        name: f"set for this deployment; the catalog has {_shown(before.get(name))}"
        for name, value in fields.items()
        if value != before.get(name)
    }
    keep = {name for name in (*printed, *ours) if " " in name or name in fields}
    return {
        "printed": {name: text for name, text in printed.items() if name in keep and name not in changed},
        "ours": {name: text for name, text in ours.items() if name in keep and name not in changed} | changed,
    }


def described(entry: ModelSpec | CombinationSpec) -> str:
    """Both lists of an entry as Markdown, for its asset's page."""
    fields, found = fields_of(entry), provenance(entry)
    lines = []
    for title, part in (("Printed in the report", "printed"), ("Ours", "ours")):
        rows = [f"- {_label(name, fields)}: {text}" for name, text in sorted(found[part].items())]
        lines += [f"**{title}**", "", *(rows or ["- nothing"]), ""]
    return "\n".join(lines).strip()


@cache
def _rules() -> dict[str, Any]:
    text = resources.files("mg_models.catalog").joinpath("provenance.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


@cache
def _lists(name: str) -> tuple[dict[str, str], dict[str, str]]:
    rules, report = _rules(), report_of(name)
    has, trained = fields_of(CATALOG.get(name) or COMBINATIONS[name]), name in CATALOG
    found: dict[str, tuple[bool, str]] = {}
    for pattern, lists in (("*", rules["every"]), *rules[report].items()):
        for part in ("ours", "printed") if fnmatchcase(name, pattern) else ():
            # of a pattern for many entries, what this one has; a combination trains nothing of its own
            found |= {
                field: (part == "printed", why)
                for field, why in lists.get(part, {}).items()
                if field in has or (" " in field and (trained or pattern != "*"))
            }
    return (
        {f: f"{TITLES[report]}, {why}" for f, (is_printed, why) in found.items() if is_printed},
        {f: why for f, (is_printed, why) in found.items() if not is_printed},
    )


def report_of(name: str) -> str:
    """The module of the catalog that an entry is in, as ``series_72``."""
    for module in REPORTS:
        if any(entry.name == name for entry in (*module.MODELS, *module.COMBINATIONS)):
            return module.__name__.rpartition(".")[2]
    raise KeyError(name)


def _label(name: str, fields: Mapping[str, Any]) -> str:
    return f"`{name}` {_shown(fields[name])}" if name in fields else name


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value in (None, "") else str(value)


def pages() -> Iterator[tuple[str, str]]:
    """Name and Markdown of a page for each report, a section for each entry with its fields.

    Yields
    ------
    name, text : str
    """
    for module in REPORTS:
        report = module.__name__.rpartition(".")[2]
        lines = [
            f"# {TITLES[report]}: printed and ours",
            "",
            "Each field of each entry: where the report prints it, or why it is as it is where the report is silent.",
        ]
        for entry in (*module.MODELS, *module.COMBINATIONS):
            fields, found = fields_of(entry), provenance(entry)
            lines += ["", f"## {entry.name}", "", entry.description, "", "| field | value | printed | ours |"]
            lines.append("|---|---|---|---|")
            for name in sorted({*found["printed"], *found["ours"]}, key=lambda n: (n not in fields, n)):
                value = _shown(fields[name]) if name in fields else ""
                lines.append(f"| {name} | {value} | {found['printed'].get(name, '')} | {found['ours'].get(name, '')} |")
        yield report, "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write the pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
