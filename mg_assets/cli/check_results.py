"""Failed checks in the terminal: figures against limits, the first offending rows, and the warnings of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from mg_assets.quality.suite import CheckOutcome, Limit
from mg_assets.quality.suites import suite_for

ROWS = 10  # offending rows shown of a check
CELL = 40  # characters of a value


def limits_of(table: str, check: str) -> dict[str, str]:
    """The limit of each measure of a table's check, as text."""
    return {n.measure: _text(n) for c in suite_for(table).checks if c.name == check for n in c.limits}


def _text(limit: Limit) -> str:
    if limit.low is None:
        return f"<= {limit.high:g}" if limit.high is not None else "any"
    return f">= {limit.low:g}" if limit.high is None else f"{limit.low:g} to {limit.high:g}"


def figure(table: str, outcome: CheckOutcome, key: str) -> str:
    """A bad partition's first figure beside its limit: ``off_tick = 3 (limit <= 0)``."""
    limits = limits_of(table, outcome.name)
    for row in outcome.bad:
        if row["partition"] == key:
            return f"{row['measure']} = {_cell(row['observed'])} (limit {limits[row['measure']]})"
    return outcome.description


def failed_check_lines(table: str, outcome: CheckOutcome, rejected: Sequence[str]) -> list[str]:
    """A failed blocking check: what it demands, and a table of figures, limits and first offending rows.

    Parameters
    ----------
    table : str
    outcome : CheckOutcome
    rejected : sequence of str
        Keys of the partitions that it rejects.

    Returns
    -------
    list of str
    """
    limits = limits_of(table, outcome.name)
    kept = [row for row in outcome.bad if row["partition"] in set(rejected)]
    rows = [_with_limit(row, limits) for row in kept[:ROWS]]
    of = f"{len(rejected)} of {outcome.observed['partitions']} partitions"
    out = [f"check {outcome.name} of {table} rejects {of}, first {rejected[0]}", f"   {outcome.description}"]
    out += [f"   {line}" for line in text_table(rows)]
    if len(kept) > ROWS:
        out.append(f"   and {len(kept) - ROWS} more rows in the UI")
    return out


def _with_limit(row: Mapping[str, Any], limits: Mapping[str, str]) -> dict[str, Any]:
    head = {name: row[name] for name in ("partition", "measure", "observed")}
    return {**head, "limit": limits[row["measure"]], **row}


def text_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows under the union of their columns, aligned."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_cell(row.get(c)) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return ["  ".join(f"{cell:{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells]


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= CELL else text[: CELL - 3] + "..."


class RunWarnings:
    """Checks that warned in a run, and blocking ones whose partitions the settings accept."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[str, str]] = {}  # table, check -> key -> figure

    def add(self, table: str, outcome: CheckOutcome, keys: Sequence[str]) -> None:
        """Record the partitions that a check warns of."""
        found = self._found.setdefault((table, outcome.name), {})
        found |= {key: figure(table, outcome, key) for key in keys}

    def lines(self) -> list[str]:
        """One line a check: how many partitions, the first one, its figure."""
        out = []
        for (table, check), keys in self._found.items():
            first = min(keys)
            count = f"{len(keys)} partition{'s' if len(keys) > 1 else ''}, first " if len(keys) > 1 else ""
            out.append(f"  {table} {check}: {count}{first}: {keys[first]}")
        return [f"{len(out)} checks warn:", *out] if out else []
