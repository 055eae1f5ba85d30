"""The asset graph as one SVG picture: groups of tables from top to bottom, in the order of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import dagster as dg

from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY
from mg_assets.orchestration.staleness import TableRegistry

WIDTH, MARGIN, GUTTER = 960, 16, 44
GAP, ROW_GAP, HEAD, LINE, CHIP_GAP, LETTER = 18, 30, 26, 24, 8, 6.7
COLORS: dict[dg.PartitionsDefinition | None, str] = {
    DAILY: "#dbeafe",
    WEEKLY: "#dcfce7",
    MONTHLY: "#fef3c7",
    HALF_YEARLY: "#fae8ff",
    None: "#e5e7eb",
}
LEGEND = {DAILY: "by day", WEEKLY: "by week", MONTHLY: "by month", HALF_YEARLY: "by half-year", None: "whole"}


@dataclass
class _Box:
    """A group: its place, and its tables in lines."""

    group: str
    tables: list[str]
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    lines: list[list[str]] = field(default_factory=list)

    @property
    def height(self) -> float:
        return HEAD + len(self.lines) * LINE + 4

    def wrap(self) -> None:
        """Put the tables into lines that the width holds."""
        self.lines = [[]]
        left = self.width - 2 * CHIP_GAP
        for table in self.tables:
            if self.lines[-1] and left < _chip(table):
                self.lines.append([])
                left = self.width - 2 * CHIP_GAP
            self.lines[-1].append(table)
            left -= _chip(table) + CHIP_GAP


def graph_picture(tables: TableRegistry, groups: Mapping[str, str]) -> str:
    """Draw the groups of a graph, their tables, and which group is made from which.

    An arrow that a path over other groups says already is left out.

    Parameters
    ----------
    tables : TableRegistry
    groups : dict of str to str
        Group of each table.

    Returns
    -------
    str
        An SVG document of 960 pixels' width.
    """
    direct = {(groups[n.table], groups[t]) for t, entry in tables.items() for n in entry.needs}
    direct = {(a, b) for a, b in direct if a != b}
    members: dict[str, list[str]] = {}
    for table in tables:
        members.setdefault(groups[table], []).append(table)
    depth = {group: _depth(group, direct) for group in members}
    rows: dict[int, list[_Box]] = {}
    for group, held in members.items():
        rows.setdefault(depth[group], []).append(_Box(group, held))
    y = 2.0 * MARGIN + 12
    for _, row in sorted(rows.items()):
        _place(row, y)
        y += max(box.height for box in row) + ROW_GAP
    boxes = {box.group: box for row in rows.values() for box in row}
    arrows = [_arrow(boxes[a], boxes[b], depth[b] - depth[a]) for a, b in sorted(_reduced(direct))]
    shown = "\n".join([_legend(), *arrows, *(_box(box, tables) for box in boxes.values())])
    height = y - ROW_GAP + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" font-family="ui-sans-serif, system-ui, sans-serif" '
        'role="img" aria-label="asset graph">\n'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#64748b"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>\n{shown}\n</svg>\n'
    )


def _chip(table: str) -> float:
    return len(table) * LETTER + 12


def _depth(group: str, direct: set[tuple[str, str]]) -> int:
    """Length of the longest path to a group."""
    return max((_depth(a, direct) + 1 for a, b in direct if b == group), default=0)


def _reduced(direct: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows without those that a longer path implies."""

    def reaches(start: str, goal: str) -> bool:
        return any(b == goal or reaches(b, goal) for a, b in direct if a == start)

    return {(a, c) for a, c in direct if not any(b != c and reaches(b, c) for x, b in direct if x == a)}


def _place(row: list[_Box], y: float) -> None:
    """Share the width among the boxes of a row, by what they hold."""
    room = WIDTH - 2 * MARGIN - GUTTER - GAP * (len(row) - 1)
    least = [max(_chip(t) for t in box.tables) + 2 * CHIP_GAP for box in row]
    wanted = [sum(_chip(t) + CHIP_GAP for t in box.tables) for box in row]
    spare = max(room - sum(least), 0.0)
    x = float(MARGIN)
    for box, low, want in zip(row, least, wanted, strict=True):
        box.x, box.y, box.width = x, y, low + spare * want / sum(wanted)
        box.wrap()
        x += box.width + GAP


def _arrow(a: _Box, b: _Box, rows: int) -> str:
    """From the bottom of a box to the top of another; beside the rows between, in the gutter."""
    x0, y0, y1 = a.x + a.width / 2, a.y + a.height, b.y - 2
    x1 = min(max(x0, b.x + 24), b.x + b.width - 24)
    if rows == 1:
        middle = (y0 + y1) / 2
        path = f"M{x0:.0f} {y0:.0f}C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}"
    else:
        side, x1 = WIDTH - MARGIN - GUTTER / 2, b.x + b.width - 24
        x0, turn, land = a.x + a.width - 24, y0 + ROW_GAP / 2, y1 - ROW_GAP / 2
        path = f"M{x0:.0f} {y0:.0f}V{turn:.0f}H{side:.0f}V{land:.0f}H{x1:.0f}V{y1:.0f}"
    return f'<path d="{path}" fill="none" stroke="#64748b" stroke-width="1.4" marker-end="url(#head)"/>'


def _box(box: _Box, tables: TableRegistry) -> str:
    parts = [
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="7" '
        'fill="#f8fafc" stroke="#cbd5e1"/>',
        f'<text x="{box.x + 9:.0f}" y="{box.y + 17:.0f}" font-size="13" font-weight="600" fill="#0f172a">'
        f"{escape(box.group)}</text>",
    ]
    for i, line in enumerate(box.lines):
        x, y = box.x + CHIP_GAP, box.y + HEAD + i * LINE
        for table in line:
            parts.append(
                f'<rect x="{x:.0f}" y="{y:.0f}" width="{_chip(table):.0f}" height="19" rx="4" '
                f'fill="{COLORS[tables[table].definition]}"/>'
                f'<text x="{x + 6:.0f}" y="{y + 13.5:.1f}" font-size="11.5" fill="#1e293b" '
                f'textLength="{_chip(table) - 12:.0f}" lengthAdjust="spacingAndGlyphs">{escape(table)}</text>'
            )
            x += _chip(table) + CHIP_GAP
    return "\n".join(parts)


def _legend() -> str:
    parts, x = [], float(MARGIN)
    for definition, text in LEGEND.items():
        parts.append(
            f'<rect x="{x:.0f}" y="{MARGIN}" width="14" height="14" rx="3" fill="{COLORS[definition]}"/>'
            f'<text x="{x + 20:.0f}" y="{MARGIN + 11.5}" font-size="12" fill="#475569">{text}</text>'
        )
        x += 44 + len(text) * LETTER
    return "\n".join(parts)
