"""A factor's path: its rows, the intermediate values, its value, and the reason where it has none."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from mg_assets.factors.registry import FactorSpec

RELATIVE = 1e-9
ABSOLUTE = 1e-12
SHOWN_ROWS = 12


@dataclass(frozen=True)
class FactorStep:
    """One intermediate value between a factor's rows and its value."""

    name: str
    value: float | int
    how: str = ""


@dataclass
class Trail:
    """Collects a factor's steps, and the reason where it has no value."""

    steps: list[FactorStep] = field(default_factory=list)
    note: str = ""

    def add(self, name: str, value: float | int, how: str = "") -> float | int:
        """Record a step and return its value."""
        self.steps.append(FactorStep(name, value, how))
        return value

    def no_value(self, reason: str) -> None:
        """Record why the factor is NaN."""
        self.note = f"{self.note}; {reason}" if self.note else reason


Recipe = Callable[[Trail], pd.DataFrame]
"""Records a factor's steps and returns its rows."""


@dataclass(frozen=True)
class FactorPath:
    """One factor of one stock's day, from its rows to its value.

    Attributes
    ----------
    spec : FactorSpec
    symbol, day : str
    value : float
        Recomputed from the raw rows by the factor's kernel; NaN with a reason in ``note``.
    rows : DataFrame
        The bars, trades or orders that count, in the lake's units.
    steps : tuple of FactorStep
        Intermediate values between the rows and the value.
    note : str
        Why the value is NaN; empty otherwise.
    stored : float or None
        What the lake's ``intraday_factors`` holds; None where it holds no such row.
    """

    spec: FactorSpec
    symbol: str
    day: str
    value: float
    rows: pd.DataFrame
    steps: tuple[FactorStep, ...]
    note: str
    stored: float | None

    @property
    def agrees(self) -> bool | None:
        """Whether the stored value is this one (1e-9 relative or 1e-12 absolute, NaN for NaN); None where none is."""
        if self.stored is None:
            return None
        if math.isnan(self.value) or math.isnan(self.stored):
            return math.isnan(self.value) and math.isnan(self.stored)
        return abs(self.value - self.stored) <= max(ABSOLUTE, RELATIVE * abs(self.stored))

    def table(self) -> pd.DataFrame:
        """The steps as a table: step, value, how."""
        return pd.DataFrame([(s.name, s.value, s.how) for s in self.steps], columns=["step", "value", "how"])

    @property
    def stored_note(self) -> str:
        """The stored value and whether it agrees."""
        if self.stored is None:
            return "the lake holds no stored value"
        return f"stored {figure(self.stored)}: {'agrees' if self.agrees else 'DIFFERS'}"

    def text(self, rows: int = SHOWN_ROWS) -> str:
        """The path as plain text, with the first rows."""
        lines = [
            f"{self.spec.name} of {self.symbol} on {self.day} = {figure(self.value)}   ({self.stored_note})",
            f"  {self.spec.meaning}",
            f"  = {self.spec.formula}",
        ]
        if self.note:
            lines.append(f"  NaN: {self.note}")
        if self.steps:
            wide = max(len(s.name) for s in self.steps)
            values = [figure(s.value) for s in self.steps]
            room = max(map(len, values))
            lines += [
                "",
                *(
                    f"  {s.name:<{wide}}  {v:>{room}}  {s.how}".rstrip()
                    for s, v in zip(self.steps, values, strict=True)
                ),
            ]
        if len(self.rows) and rows:
            lines += ["", self.rows.head(rows).to_string(index=False, float_format=figure)]
            if len(self.rows) > rows:
                lines.append(f"... {len(self.rows) - rows} more of {len(self.rows)} rows")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def html(self, rows: int = SHOWN_ROWS) -> str:
        """The path as HTML for a notebook."""
        parts = [
            f"<b>{html.escape(self.spec.name)}</b> of {self.symbol} on {self.day} = <b>{figure(self.value)}</b>"
            f" ({html.escape(self.stored_note)})<br>{html.escape(self.spec.meaning)}"
            f"<br><code>{html.escape(self.spec.formula)}</code>"
        ]
        if self.note:
            parts.append(f"<br>NaN: {html.escape(self.note)}")
        if self.steps:
            parts.append(self.table().to_html(index=False, border=0, formatters={"value": figure}))
        if len(self.rows):
            parts.append(self.rows.head(rows).to_html(index=False, border=0, float_format=figure))
            if len(self.rows) > rows:
                parts.append(f"{len(self.rows) - rows} more of {len(self.rows)} rows in <code>.rows</code>")
        return "\n".join(parts)


def figure(value: float | int) -> str:
    """A number for reading: counts whole, amounts with thousands, fractions with ten digits."""
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "NaN"
    if value == int(value) if math.isfinite(value) and abs(value) < 1e15 else False:
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.10g}"
