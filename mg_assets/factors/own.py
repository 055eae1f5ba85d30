"""A factor of one's own: a function of a day's frames, with its passport.

    @factor(direction=-1, units="fraction", columns={"minute_bars": ("minute", "volume")})
    def late_volume(minute_bars):
        '''Share of the day's volume that trades in the last half-hour.'''
        late = minute_bars[minute_bars["minute"] >= 210]
        return late.groupby("symbol")["volume"].sum() / minute_bars.groupby("symbol")["volume"].sum()

The parameters are the lake's tables; the first of them decides which stocks get a row that day. The value of each stock
comes out as a Series by symbol, a dict, or a frame with ``symbol`` and one more column. How a deployment finds it, and
what it makes of it: docs/extensions.md.
"""

import datetime as dt
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.extensions import code_digest, described
from mg_assets.factors.passports.spec import FactorSpec
from mg_assets.lake.frames import in_library
from mg_assets.market.schema import SCHEMAS
from mg_assets.settings.values import known_names

FRAMES = ("pandas", "arrow", "polars")
KEYS = ("symbol", "date")
MEAN_DAYS = 20  # that the published factors are averaged over before they are evaluated
PREFIX = "own_"
"""Of the tables of factors of one's own."""
SCORES = "scores_of_own_factors"
"""Table of all their scores, as they are evaluated; there is none without any."""


@dataclass(frozen=True, eq=False)
class Factor:
    """A function of a day's frames, and what the graph needs to know of it; made by :func:`factor`.

    Attributes
    ----------
    spec : FactorSpec
        The passport.
    function : callable
        Takes one frame for each of ``tables`` by name.
    tables : tuple of str
        Lake tables, by trading day; the stocks of the first get a row.
    columns : mapping of str to tuple of str
        Columns that are read of a table; all where it is not named.
    days : int
        Trading days that the frames hold, the day itself included; with more than one they have a column ``date``.
    frames : {"pandas", "arrow", "polars"}
    bounds : tuple of (float, float)
        Range that the formula allows, for the quality suite.
    mean_days : int
        Days that are averaged before the factor is evaluated.
    known_at : time or None
        Rows of the day's ticks and minutes from that time on decide nothing (:mod:`mg_assets.testing` disturbs them).
    version : str
        Raised by hand where something else than the code decides other values.
    """

    spec: FactorSpec
    function: Callable[..., Any]
    tables: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    days: int = 1
    frames: str = "pandas"
    bounds: tuple[float, float] = (-np.inf, np.inf)
    mean_days: int = MEAN_DAYS
    known_at: dt.time | None = None
    version: str = "1"

    @property
    def name(self) -> str:
        """Of the factor and of its column."""
        return self.spec.name

    @property
    def table(self) -> str:
        """Lake table that holds it."""
        return PREFIX + self.name

    @property
    def sign(self) -> int:
        """That it is evaluated with: its direction, +1 where it states none."""
        return self.spec.direction or 1

    @cached_property
    def code(self) -> str:
        """Digest of the source text that makes the values."""
        return code_digest(self.function)

    def __call__(self, *frames: Any, **by_name: Any) -> Any:
        """The function itself."""
        return self.function(*frames, **by_name)

    def values(
        self, day: str, tables: Mapping[str, pa.Table], symbols: Sequence[str] | np.ndarray | None = None
    ) -> pd.Series:
        """The factor of one day.

        Parameters
        ----------
        day : str
            For messages.
        tables : mapping of str to Table
            Of every table of :attr:`tables`, the day's rows; with :attr:`days` above 1 those of the window, with a
            column ``date``.
        symbols : sequence of str, optional
            The day's stocks; by default all of the first table. Needed of a window.

        Returns
        -------
        Series of float64
            By symbol, ascending, one value for each of the day's stocks; NaN where the function has none.

        Raises
        ------
        DataError
            The function fails, or what it returns is not one number for each stock; in one line.
        """
        first = tables[self.tables[0]]["symbol"].unique().to_pylist()
        stocks = np.unique(np.array(first if symbols is None else symbols, dtype=object))
        if not len(stocks):
            return pd.Series(dtype=np.float64, index=pd.Index([], dtype="str", name="symbol"), name=self.name)
        given = {name: in_library(tables[name], self.frames) for name in self.tables}
        try:
            returned = self.function(**given)
        except Exception as error:  # whatever a user's function raises
            raise DataError(f"factor {self.name} on {day}: {described(error)}") from error
        values = self._checked(day, returned, pd.Index(first))
        return values.reindex(pd.Index(stocks, dtype="str", name="symbol"))  # a window may have stocks that are gone

    def _checked(self, day: str, returned: object, known: pd.Index) -> pd.Series:
        """What the function returned as a Series by symbol, or the error of its first fault."""

        def fault(text: str) -> DataError:
            return DataError(f"factor {self.name} on {day}: {text}")

        found = _as_series(returned)
        if isinstance(found, str):
            raise fault(found)
        wrong = next((s for s in found.index if not isinstance(s, str)), None)
        if wrong is not None:
            raise fault(
                f"{len(found)} values have the index {wrong!r}, ..; symbols were expected (set_index('symbol'))"
            )
        twice = found.index[found.index.duplicated()]
        if len(twice):
            raise fault(f"{twice[0]} has {(found.index == twice[0]).sum()} values; one was expected")
        strange = found.index.difference(known, sort=False)
        if len(strange):
            raise fault(f"{strange[0]} has a value, but no row in {self.tables[0]}; leave it out")
        values = _as_floats(found)
        if isinstance(values, str):
            raise fault(values)
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            at = infinite[0]
            raise fault(f"{found.index[at]} was {values[at]}; a number, or NaN where there is none, was expected")
        return pd.Series(values, pd.Index(found.index, dtype="str"), name=self.name)


def factor(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    direction: int = 0,
    formula: str = "",
    units: str = "ratio",
    source: str = "own",
    columns: Mapping[str, Sequence[str]] | None = None,
    days: int = 1,
    frames: str = "pandas",
    bounds: tuple[float, float] = (-np.inf, np.inf),
    mean_days: int | None = None,
    known_at: str | None = None,
    edges: str = "",
    rivals: Sequence[str] = (),
    why: str = "",
    version: str = "1",
) -> Any:
    """Make a :class:`Factor` of a function of a day's frames, one for each of its parameters.

    The docstring's first line says what it measures; the rest is the formula where none is given.

    Parameters
    ----------
    function : callable, optional
        Where the decorator stands without parentheses.
    name : str, optional
        The function's by default.
    direction : {-1, 0, 1}
        Sign of its relation with later returns. Values are stored as they are; evaluation multiplies by it.
    formula, units, source, edges, rivals, why
        Of the passport (:class:`~mg_assets.factors.passports.spec.FactorSpec`).
    columns : mapping of str to sequence of str, optional
        Table -> the columns that are read of it beside ``symbol``; all by default. Only changes of these make it stale.
    days : int
        Trading days of the frames, the day itself included. Prices are raw: multiply by ``adj_factor``.
    frames : {"pandas", "arrow", "polars"}
    bounds : tuple of (float, float)
        Least and greatest value that the formula allows; others fail the table's check ``ranges``.
    mean_days : int, optional
        Averaged before it is evaluated; as the published ones over 20 days where a day is read, else 1.
    known_at : str, optional
        As ``10:00``: ticks and minutes from then on decide nothing; :func:`mg_assets.testing.check_factor` holds it.
    version : str
        Raise it where a file that the code reads changes the values.

    Returns
    -------
    Factor or callable
        The factor, which may still be called as the function; the decorator where no function is given.
    """

    def decorate(function: Callable[..., Any]) -> Factor:
        called = name or function.__name__
        tables = tuple(inspect.signature(function).parameters)
        meaning, _, rest = (inspect.getdoc(function) or called).partition("\n")
        problem = _problem(called, tables, direction, days, frames, columns or {}, bounds)
        if problem:
            raise DataError(f"factor {called}: {problem}")
        read = {t: tuple(dict.fromkeys(("symbol", *c))) for t, c in (columns or {}).items()}
        inputs = tuple(f"{t}.{c}" for t in tables for c in read.get(t, _columns_of(t)) if c != "symbol")
        spec = FactorSpec(
            called,
            "own",
            direction,
            formula or " ".join(rest.split()) or meaning,
            tables,
            source,
            units,
            meaning,
            inputs,
            lookback="1 day" if days == 1 else f"{days} days",
            edges=edges or "NaN where the function gives no value.",
            rivals=tuple(rivals),
            why=why,
        )
        at = None if known_at is None else _time(called, known_at)
        mean = (MEAN_DAYS if days == 1 else 1) if mean_days is None else mean_days
        return Factor(spec, function, tables, read, days, frames, bounds, mean, at, version)

    return decorate if function is None else decorate(function)


def _problem(
    name: str,
    tables: Sequence[str],
    direction: int,
    days: int,
    frames: str,
    columns: Mapping[str, Sequence[str]],
    bounds: tuple[float, float],
) -> str:
    """What is wrong with the arguments of :func:`factor`; empty where nothing is."""
    if not name.isidentifier() or name != name.lower():
        return "the name must be lower case letters, digits and underscores: it is a column and a folder of the lake"
    if name in KEYS:
        return f"{name} is the name of a column that says which row it is; rename yours"
    if not tables:
        return "the function has no parameters; name the tables that it reads, as def f(daily_bars)"
    if direction not in (-1, 0, 1):
        return f"direction was {direction!r}; -1, 0 or 1 was expected"
    if type(days) is not int or days < 1:
        return f"days was {days!r}; an integer from 1 was expected"
    if frames not in FRAMES:
        return f"frames was {frames!r}; one of {', '.join(FRAMES)} was expected"
    strange = [t for t in columns if t not in tables]
    if strange:
        return f"columns are named of {strange[0]}, which is no parameter; they are {', '.join(tables)}"
    if not bounds[0] < bounds[1]:
        return f"bounds were {bounds}; (least, greatest) was expected"
    for table, named in columns.items():
        if isinstance(named, str):
            return f"columns of {table} were {named!r}; a tuple of names as ({named!r},) was expected"
        unknown = [c for c in named if table in SCHEMAS and c not in SCHEMAS[table].names]
        if unknown:
            return f"{table} has no column {unknown[0]}; {known_names(unknown[0], SCHEMAS[table].names)}"
    return ""


def _time(name: str, text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(text)
    except (TypeError, ValueError):
        raise DataError(f"factor {name}: known_at was {text!r}; a time as 10:00 was expected") from None


def _columns_of(table: str) -> tuple[str, ...]:
    return tuple(SCHEMAS[table].names) if table in SCHEMAS else ()


def _as_series(returned: object) -> pd.Series | str:
    """What a function returned, by symbol; or what is wrong with it."""
    wanted = "a Series by symbol, a dict, or a frame with symbol and one more column was expected"
    if isinstance(returned, pd.Series):
        if returned.index.nlevels > 1:
            return (
                f"the index has the levels {', '.join(map(str, returned.index.names))}; the day's symbols were expected"
            )
        return returned
    if isinstance(returned, Mapping):
        return pd.Series(list(returned.values()), pd.Index(list(returned), dtype=object), dtype=object)
    if hasattr(returned, "to_arrow") and not isinstance(returned, pa.Table):  # polars
        returned = returned.to_arrow()
    if isinstance(returned, pa.Table):
        returned = returned.to_pandas()
    if not isinstance(returned, pd.DataFrame):
        return f"{type(returned).__name__} was returned; {wanted}"
    frame = returned if "symbol" in returned.columns else returned.reset_index()
    if "symbol" not in frame.columns or frame.shape[1] != 2:
        return f"a frame with the columns {', '.join(map(str, returned.columns))} was returned; {wanted}"
    return frame.set_index("symbol").iloc[:, 0]


def _as_floats(found: pd.Series) -> np.ndarray | str:
    """Values as float64, null as NaN; or the first that is no number."""
    if pd.api.types.is_numeric_dtype(found.dtype) and not pd.api.types.is_complex_dtype(found.dtype):
        return found.to_numpy(np.float64, na_value=np.nan)
    for symbol, value in found.items():
        if not (value is None or value is pd.NA or isinstance(value, Real)):
            return f"{symbol} was {value!r}; a number was expected"
    return np.array([np.nan if v is None or v is pd.NA else float(v) for v in found], np.float64)
