"""Types of single settings: which values are allowed, in words that an error can show."""

import datetime as dt
import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainValidator
from pydantic_core import PydanticCustomError

FIRST_DAY = "2013-01-04"
"""First day of the graph by default: the first with the ticks of series 72."""

OPENING = "1990-12-19"
"""As `mg_assets.market.calendar.OPENING`, whose module takes the exchange's calendar with it."""

SHOWN = 20  # names that an error lists whole
ABSENT: Any = None  # default of a setting that may be left out: the source, or the portfolio it is like, has its own


class Part(BaseModel):
    """A group of settings: frozen, every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def given(self) -> dict[str, Any]:
        """The settings that were set, without those that have their default."""
        return self.model_dump(exclude_unset=True)


def shown(value: object) -> str:
    """A value as an error shows it: dates as they are written, cut where it is long."""
    text = re.sub(r"datetime\.date\((\d+), (\d+), (\d+)\)", _iso, "null" if value is None else repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _iso(found: re.Match[str]) -> str:
    return dt.date(*map(int, found.groups())).isoformat()


def refuse(tail: str) -> PydanticCustomError:
    """An error that ends ``key was value; tail``."""
    return PydanticCustomError("refused", "{tail}", {"tail": tail})


def break_rule(text: str) -> PydanticCustomError:
    """An error of several settings together, ``key: text``."""
    return PydanticCustomError("rule", "{tail}", {"tail": text})


def known_names(name: object, known: Iterable[str], prefix: str = "", where: str = "") -> str:
    """The nearest known name to one that is unknown, and which there are.

    Parameters
    ----------
    name : object
        What was given.
    known : iterable of str
    prefix : str
        Written before the nearest name.
    where : str
        A page that lists the names, where they are too many for a line.

    Returns
    -------
    str
        ``did you mean run.half_years? known: daily_from, ...``
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, 1)
    parts = [f"did you mean {prefix}{near[0]}?"] if near else []
    if len(names) <= SHOWN or not where:
        parts.append(f"known: {', '.join(names)}")
    else:
        parts.append(f"{where} lists all {len(names)}")
    return " ".join(parts)


def allowed(what: str, accepts: Callable[[Any], bool]) -> PlainValidator:
    """Values that ``accepts``, described by ``what``."""

    def check(value: Any) -> Any:
        if not accepts(value):
            raise refuse(f"{what} was expected")
        return value

    return PlainValidator(check)


def number(what: str, accepts: Callable[[float], bool]) -> PlainValidator:
    """Finite numbers, of whole or floating type as they were given."""
    check = allowed(what, lambda v: type(v) in (int, float) and math.isfinite(v) and accepts(v))

    def explain(value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", value, re.IGNORECASE):
            raise refuse(f"{what} was expected, not text; YAML reads 5.0e+8 as a number, 5e8 and '5' as text")
        return check.func(value)  # type: ignore[call-arg]

    return PlainValidator(explain)


def name_of(what: str, names: Callable[[], Collection[str]], where: str = "") -> PlainValidator:
    """Names of a catalog that is imported when a name is checked."""

    def check(value: Any) -> Any:
        problem = name_problem(value, what, names(), where)
        if problem:
            raise refuse(problem)
        return value

    return PlainValidator(check)


def name_problem(value: object, what: str, known: Collection[str], where: str = "") -> str:
    """What is wrong with a name of a catalog; empty where it is known."""
    if isinstance(value, str) and value in known:
        return ""
    return f"{what} was expected; {known_names(value, known, where=where)}"


def several(found: Sequence[tuple[Sequence[str | int], str]]) -> PydanticCustomError:
    """An error of several problems, each with the keys that lead to it and the rest of its line."""
    return PydanticCustomError("several", "several problems", {"found": list(found)})


def _as_tuple(value: Any) -> tuple:
    if not isinstance(value, list | tuple):
        raise refuse("a list was expected")
    return tuple(value)


def each_once(values: tuple) -> tuple:
    """The values, none of which may be given twice."""
    twice = [v for i, v in enumerate(values) if v in values[:i]]
    if twice:
        raise refuse(f"{twice[0]} once was expected")
    return values


def _day(value: Any) -> str:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    try:
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            raise ValueError
        return dt.date.fromisoformat(value).isoformat()
    except ValueError:
        raise refuse("a date as 2023-12-29 was expected") from None


def _partition_day(value: Any) -> str:
    day = _day(value)
    if day < OPENING:
        raise refuse(f"a date from {OPENING}, the exchange's opening, on was expected")
    return day


def _end(value: Any) -> str:
    if value in ("", "today"):
        return value
    try:
        return _partition_day(value)
    except PydanticCustomError:
        raise refuse(f"a date from {OPENING} on, today, or nothing for the source's last day was expected") from None


def _partition_key(value: Any) -> str:
    if isinstance(value, str) and (value == "all" or is_half_year(value)):
        return value
    try:
        return _day(value)
    except PydanticCustomError:
        raise refuse("a partition was expected: a date as 2023-12-29, a half-year as 2023H1, or all") from None


def _partition_range(value: Any) -> str:
    """A partition, or first and last of many, as ``2010-01-04..2011-12-30``."""
    if not isinstance(value, str) or ".." not in value:
        return _partition_key(value)
    first, last = (_partition_key(key.strip()) for key in value.split("..", 1))
    if is_half_year(first) != is_half_year(last) or "all" in (first, last) or last < first:
        raise refuse("two dates or two half-years were expected, the earlier first: 2010-01-04..2011-12-30")
    return f"{first}..{last}"


def is_half_year(value: Any) -> bool:
    """Whether a value is a half-year of the graph, as 2017H1."""
    return isinstance(value, str) and re.fullmatch(r"\d{4}H[12]", value, re.ASCII) is not None and value >= "1991H1"


Each = BeforeValidator(_as_tuple)
EachOnce = AfterValidator(each_once)

Text = Annotated[str, allowed("text", lambda v: isinstance(v, str) and bool(v.strip()))]
Flag = Annotated[bool, allowed("true or false", lambda v: isinstance(v, bool))]
FromZero = Annotated[int, allowed("an integer from 0", lambda v: type(v) is int and v >= 0)]
FromOne = Annotated[int, allowed("an integer from 1", lambda v: type(v) is int and v >= 1)]
Number = Annotated[int | float, number("a number", lambda v: True)]
Above = Annotated[int | float, number("a number above 0", lambda v: v > 0)]
Rate = Annotated[int | float, number("a fraction from 0 to 0.1", lambda v: 0 <= v <= 0.1)]
Fraction = Annotated[int | float, number("a fraction from 0 to 1", lambda v: 0 <= v <= 1)]
FromZeroNumber = Annotated[int | float, number("a number from 0", lambda v: v >= 0)]
Share = Annotated[int | float, number("a fraction above 0, at most 1", lambda v: 0 < v <= 1)]
Day = Annotated[str, PlainValidator(_day)]
PartitionDay = Annotated[str, PlainValidator(_partition_day)]
EndDay = Annotated[str, PlainValidator(_end)]
PartitionRange = Annotated[str, PlainValidator(_partition_range)]
HalfYear = Annotated[str, allowed("a half-year as 2017H1, from 1991H1 on", is_half_year)]
FilePatterns = Annotated[
    str | Mapping[str, str | list[str]],
    allowed(
        "the name of a layout, or a mapping of tables to file patterns",
        lambda v: (bool(v) and isinstance(v, str)) or _is_mapping(v, lambda p: isinstance(p, str) or _texts(p)),
    ),
]
Texts = Annotated[list[str], allowed("a list of text", lambda v: _texts(v))]
TextByName = Annotated[
    Mapping[str, str], allowed("a mapping of names to text", lambda v: _is_mapping(v, lambda t: isinstance(t, str)))
]
MappingByName = Annotated[
    Mapping[str, Mapping],
    allowed("a mapping of names to mappings", lambda v: _is_mapping(v, lambda m: isinstance(m, Mapping))),
]
CodeChanges = Annotated[
    str | Sequence[Sequence[str]],
    allowed(
        "the path of a CSV file, or a list of old code, new code and day",
        lambda v: (isinstance(v, str) and bool(v)) or (isinstance(v, list) and all(map(_texts, v))),
    ),
]
NamedWeights = Annotated[
    Mapping[str, int | float] | list[str],
    allowed(
        "a mapping of signals or factors to weights, none of them 0, or a list of them",
        lambda v: (
            _texts(v) or (bool(v) and _is_mapping(v, lambda w: type(w) in (int, float) and 0 < abs(w) < math.inf))
        ),
    ),
]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _is_mapping(value: Any, accepts: Callable[[Any], bool]) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and accepts(v) for k, v in value.items())
