"""The content of every table of one small fixed market beside its recipe, in ``tests/golden/content.json``.

A code version is raised by hand; this is what notices that it was not. Bits of floating-point numbers differ between
machines, so such a column is described by figures that move with any change beyond rounding; all others by a digest.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mg_assets.assets import TABLES
from mg_assets.lake.digest import ContentDigest
from mg_assets.lake.store import Lake
from mg_assets.sources.fingerprint import fingerprint_of
from mg_assets.sources.simulated import exchange

FILE = Path(__file__).parents[1] / "golden" / "content.json"

FIGURES = ("values", "nulls", "sum", "absolute", "weighted")
"""Of a floating column: how many numbers and nulls, their sum, the sum of their absolute values, and the sum weighted
by fixed pseudo-random weights of the row's position, which sees rows that change places."""

KERNELS = 1e-9
"""Largest difference of a floating column's sums, as a share of the sum of absolute values, that is rounding."""
TRAINED = 1e-4
"""The same where a trained network is upstream: another processor and number of threads moved them by up to 1e-6."""
PORTFOLIOS = 1e-2
"""The same, and of counts too, where portfolios of trained signals are upstream: an order more or less is a row more or
less. Digests of their other columns are not compared."""

LEFT_OUT = {"snapshots", "weekly_report"}
"""The market has no snapshots; a page is no figure."""

EVERY = 3
"""Of tables with more than a hundred partitions each third one is described."""

Content = dict[str, Any]


def content_of(lake: Lake, settings: Mapping[str, Any]) -> Content:
    """What the file holds, of a lake that was built with some settings."""
    tables = {}
    for table in TABLES:
        keys = lake.keys(table)
        if not keys or table in LEFT_OUT:
            continue
        described = _Description()
        for key in keys[:: EVERY if len(keys) > 100 else 1]:
            described.add(lake.table(table, key))
        recipes = {str(info.metadata.get("recipe")) for info in lake.info(table).values()}
        tables[table] = {
            "recipe": ", ".join(sorted(recipes)),
            "partitions": fingerprint_of(keys),
            **described.result(),
        }
    return {"market": fingerprint_of(settings, exchange.VERSION), "tables": tables}


@dataclass
class _Description:
    """A table's columns, partition by partition."""

    digest: ContentDigest = field(default_factory=ContentDigest)
    figures: dict[str, "_Figures"] = field(default_factory=dict)
    rows: int = 0

    def add(self, table: pa.Table) -> None:
        floating = [f.name for f in table.schema if pa.types.is_floating(f.type)]
        self.digest.add(table.drop_columns(floating))
        for name in floating:
            self.figures.setdefault(name, _Figures()).add(table[name], self.rows)
        self.rows += len(table)

    def result(self) -> dict[str, Any]:
        columns = {**self.digest.result()["columns"], **{n: f.result() for n, f in self.figures.items()}}
        return {"rows": self.rows, "columns": dict(sorted(columns.items()))}


@dataclass
class _Figures:
    """See :data:`FIGURES`."""

    total: np.ndarray = field(default_factory=lambda: np.zeros(len(FIGURES)))

    def add(self, column: pa.ChunkedArray, first: int) -> None:
        values = column.to_numpy().astype(np.float64)
        known = np.isfinite(values)
        numbers, weights = values[known], _weights(first, len(values))[known]
        sums = numbers.sum(), np.abs(numbers).sum(), numbers @ weights
        self.total += [len(numbers), np.isnan(values).sum(), *sums]

    def result(self) -> list[float]:
        counts, sums = self.total[:2].astype(int).tolist(), self.total[2:].tolist()
        return [*counts, *(float(f"{x:.12g}") for x in sums)]


def _weights(first: int, count: int) -> np.ndarray:
    """Numbers in [-1, 1) that only depend on the row's position (splitmix64)."""
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1


def load() -> Content:
    """What the file holds."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def save(content: Content) -> None:
    """Write the file, a line a column."""
    lines = []
    for name, entry in content["tables"].items():
        head = ", ".join(f'"{k}": {json.dumps(v)}' for k, v in entry.items() if k != "columns")
        columns = [f"      {json.dumps(c)}: {json.dumps(v)}" for c, v in entry["columns"].items()]
        lines.append(f'    "{name}": {{{head}, "columns": {{\n' + ",\n".join(columns) + "\n    }}")
    text = ",\n".join(lines)
    FILE.write_text(f'{{\n  "market": "{content["market"]}",\n  "tables": {{\n{text}\n  }}\n}}\n', encoding="utf-8")


def differences(golden: Content, now: Content) -> list[str]:
    """Lines that say what is wrong with the file or the code; none where both agree.

    Of all tables whose content changed under an unchanged recipe, those are named that have no such table upstream:
    their version is the one that was forgotten.
    """
    if golden["market"] != now["market"]:
        return ["the market is another one (settings of the fixture, or the simulation's version): run make golden"]
    before, after = golden["tables"], now["tables"]
    if list(before) != list(after):
        changed = sorted(before.keys() ^ after.keys()) or "their order"
        return [f"other tables than in {FILE.name} ({changed}): run make golden"]
    moved = {t: found for t in after if (found := _moved(t, before[t], after[t]))}
    same_recipe = {t for t in after if before[t]["recipe"] == after[t]["recipe"]}
    forgotten = moved.keys() & same_recipe
    lines = []
    for table in moved:
        if table in forgotten and not upstream(table) & forgotten:
            lines += [f"{table}: the content changed and the recipe {after[table]['recipe']} did not", *moved[table]]
            lines.append(f"  raise the version of {table} in its lake_asset(...), then run make golden")
    other = after.keys() - same_recipe
    if other and not lines:
        first = [t for t in after if t in other and not upstream(t) & other]
        lines.append(f"other recipes than in {FILE.name} (of {first} and what is made of them): run make golden")
    return lines


def upstream(table: str) -> set[str]:
    """The tables that a table is made of, directly and not."""
    found: set[str] = set()
    waiting = [table]
    while waiting:
        for need in TABLES[waiting.pop()].needs:
            if need.table not in found:
                found.add(need.table)
                waiting.append(need.table)
    return found - {table}


def _moved(table: str, before: Content, after: Content) -> list[str]:
    """What differs between two descriptions of a table, beyond rounding."""
    relative = tolerance(table)
    out = []
    if before["partitions"] != after["partitions"]:
        out.append(f"  partitions: {before['partitions']} -> {after['partitions']}")
    if not _near_counts(before["rows"], after["rows"], relative):
        out.append(f"  rows: {before['rows']} -> {after['rows']}")
    ours, theirs = before["columns"], after["columns"]
    if ours.keys() != theirs.keys():
        out.append(f"  columns: gone {sorted(ours.keys() - theirs.keys())}, new {sorted(theirs.keys() - ours.keys())}")
    for name in sorted(ours.keys() & theirs.keys()):
        if not _equal(ours[name], theirs[name], relative):
            out.append(f"  column {name}: {_text(ours[name])} -> {_text(theirs[name])}")
    return out


def tolerance(table: str) -> float:
    """Largest relative difference of sums that is rounding."""
    made_of = {table, *upstream(table)}
    if not any(t.endswith("_model") for t in made_of):
        return KERNELS
    traded = any(t.startswith(("weights_", "portfolio_study_")) for t in made_of)
    return PORTFOLIOS if traded else TRAINED


def _equal(ours: str | list[float], theirs: str | list[float], relative: float) -> bool:
    if isinstance(ours, str) or isinstance(theirs, str):
        return ours == theirs or (relative == PORTFOLIOS and type(ours) is type(theirs))
    scale = max(ours[3], theirs[3])
    near = all(abs(a - b) <= relative * scale for a, b in zip(ours[2:], theirs[2:], strict=True))
    return near and all(_near_counts(a, b, relative) for a, b in zip(ours[:2], theirs[:2], strict=True))


def _near_counts(ours: float, theirs: float, relative: float) -> bool:
    return ours == theirs or (relative == PORTFOLIOS and abs(ours - theirs) <= relative * max(ours, theirs))


def _text(column: str | list[float]) -> str:
    if isinstance(column, str):
        return column
    return ", ".join(f"{name} {value:.12g}" for name, value in zip(FIGURES, column, strict=True))
