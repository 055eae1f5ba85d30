"""A factor's passport, and the rules that many passports share."""

from dataclasses import dataclass

UNITS = {
    "fraction": "fraction (0.01 = 1%)",
    "correlation": "Pearson correlation, -1..1",
    "moment": "standardised moment, no unit",
    "ratio": "ratio, no unit",
    "log": "natural logarithm",
    "slope": "slope, no unit",
    "shares": "shares",
}


@dataclass(frozen=True)
class FactorSpec:
    """What a factor is.

    Attributes
    ----------
    name : str
        Column in the factor tables and in the published results.
    family : str
        ``minute``, ``trade``, ``order``, ``monitor``, ``daily``, ``common`` or ``granular``; ``own`` of the user's.
    direction : int
        +1 or -1: the sign of its predictive relation with returns in its source; 0 where the source states none (an
        input that a model weighs). Factors are stored raw.
    formula : str
        Definition in words and symbols.
    needs : tuple of str
        Lake tables that it is computed from; NaN where one of them is absent.
    source : str
        Report and chart.
    units : str
        A key of :data:`UNITS`, or other words.
    meaning : str
        What it measures, in one sentence.
    inputs : tuple of str
        ``table.column`` of everything that is read.
    lookback : str
        Trading days that a value covers.
    edges : str
        When the value is NaN, and other rules at the edges.
    rivals : tuple of str
        Other definitions that go by the same or a similar name.
    why : str
        Why this definition and not a rival.
    """

    name: str
    family: str
    direction: int
    formula: str
    needs: tuple[str, ...]
    source: str
    units: str
    meaning: str
    inputs: tuple[str, ...]
    lookback: str
    edges: str
    rivals: tuple[str, ...]
    why: str

    @property
    def sign(self) -> str:
        """The direction in words."""
        return {1: "+1 (higher is better)", -1: "-1 (lower is better)", 0: "none stated by the source"}[self.direction]

    @property
    def summary(self) -> str:
        """One line for a column's description."""
        sign = f"{self.direction:+d}" if self.direction else "no sign stated"
        return f"{self.formula}  [{sign}; {self.units}; {self.lookback}; {self.source}]"


def columns(table: str, *names: str) -> tuple[str, ...]:
    """``table.name`` of each name."""
    return tuple(f"{table}.{name}" for name in names)


SUSPENDED = "NaN for a stock without trades that day."
PAIRS = (
    "Pairs with a side that is not finite are left out; NaN with fewer than 10 pairs or a flat side; clamped to "
    "[-1, 1]."
)
SESSION_PAIRS = PAIRS.replace("10 pairs", "5 pairs")
MOMENT = "Values that are not finite are left out; NaN with fewer than 5 observations or a flat series."
ZERO = "NaN where the denominator is 0."
EMPTY_BARS = "A bar without trades has volume 0, the previous close as its prices and return 0."
