"""Quality rules of the user's own: an expectation of Great Expectations, or a function of a partition's rows.

    @rule(table="daily_bars", columns=("symbol", "close", "up_limit"), blocking=False)
    def close_within_limit(daily_bars):
        '''No close above the day's upper limit.'''
        return daily_bars[daily_bars["close"] > daily_bars["up_limit"]]


    positive = expect("daily_bars", "expect_column_values_to_be_between", column="close", min_value=0)

The same expectation in the settings: ``rules: [{table: daily_bars, expectation: expect_column_values_to_be_between,
column: close, min_value: 0}]``. Each rule is a check of its table (docs/extensions.md).
"""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import SettingsError
from mg_assets.extensions import defined, described
from mg_assets.lake.table_view import View
from mg_assets.quality.suite import EXAMPLES, Check, Limit, Measures, Suite, plain
from mg_assets.settings import settings
from mg_assets.settings.values import known_names

COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")
"""Arguments of expectations that name columns."""


@dataclass(frozen=True, eq=False)
class Rule:
    """A check of a table that the user adds; made by :func:`rule` or :func:`expect`.

    Attributes
    ----------
    name : str
        Of the check.
    table : str
    description : str
        What the data must satisfy.
    blocking : bool
        Whether a partition that breaks it is kept from what reads it; else it warns.
    columns : tuple of str
        That are read; empty for all.
    function : callable or None
        Takes the partition's rows as a DataFrame; gives the rows that break the rule, or whether it holds.
    expectation : str
        Name of an expectation, where there is no function.
    arguments : mapping
        Of the expectation.
    """

    name: str
    table: str
    description: str
    blocking: bool = True
    columns: tuple[str, ...] = ()
    function: Callable[[pd.DataFrame], Any] | None = None
    expectation: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> Any:
        """The function itself."""
        if self.function is None:
            raise TypeError(f"rule {self.name} is the expectation {self.expectation}, no function")
        return self.function(frame)

    @property
    def check(self) -> Check:
        """The check of the table's suite."""
        return Check(self.name, self.description, (Limit(self.name),), self.blocking)

    @property
    def named_columns(self) -> list[str]:
        """Columns of the table that the rule names."""
        given = [self.arguments[a] for a in COLUMN_ARGUMENTS if a in self.arguments]
        return [*self.columns, *(c for g in given for c in ([g] if isinstance(g, str) else g))]

    def measure(self, view: View, measures: Measures) -> None:
        """Count what breaks the rule in a partition, with the first rows; a function's error counts as one."""
        part = view.lake.table(view.table, view.key, self._read(view))
        frame = part.to_pandas()
        if self.function is None:
            self._expect(view.key, frame, measures)
            return
        try:
            found = self.function(frame)
        except Exception as error:  # whatever a user's function raises
            measures.put(self.name, 1, error=described(error))
            return
        if isinstance(found, pd.DataFrame):
            shown = {str(c): found[c].to_numpy(dtype=object) for c in found.columns}
            measures.add(self.name, len(found))
            for at in range(min(len(found), EXAMPLES)):
                example = {c: plain(v[at]) for c, v in shown.items()}
                measures.examples.setdefault(self.name, []).append(example)
        elif isinstance(found, bool | np.bool_):
            measures.put(self.name, 0 if found else 1)
        else:
            what = f"{type(found).__name__} was returned; the rows that break the rule, or True or False, was expected"
            measures.put(self.name, 1, error=what)

    def _read(self, view: View) -> list[str] | None:
        """Columns to read: those that an expectation of columns names, and the symbol for examples; None for all."""
        names = self.named_columns
        if not self.columns and (self.function is not None or not names or "row_condition" in self.arguments):
            return None
        with view.lake.opened(view.table, view.key) as file:
            have = file.schema.names
        return [c for c in dict.fromkeys(("symbol", *names)) if c in have]

    def _expect(self, key: str, frame: pd.DataFrame, measures: Measures) -> None:
        from mg_assets.quality.engine import validate_frame

        found = validate_frame(frame, self.expectation, self.arguments)
        measures.add(self.name, found.broken)
        measures.examples.setdefault(self.name, []).extend(found.examples[:EXAMPLES])
        if found.figure:
            measures.notes.append(f"{self.name} {key}: {found.figure}")


def rule(
    *,
    table: str,
    name: str | None = None,
    description: str = "",
    blocking: bool = True,
    columns: Sequence[str] = (),
) -> Callable[[Callable[[pd.DataFrame], Any]], Rule]:
    """Make a :class:`Rule` of a function of a partition's rows.

    Parameters
    ----------
    table : str
    name : str, optional
        Of the check; the function's by default.
    description : str
        The docstring's first line by default.
    blocking : bool
        A partition that breaks it is rebuilt, and read by nothing, until it holds; False: it warns.
    columns : sequence of str
        That are read; all by default. Ticks are large: name them.

    Returns
    -------
    callable
        Decorator. The function takes a DataFrame and returns the rows that break the rule, or True where it holds.
    """

    def decorate(function: Callable[[pd.DataFrame], Any]) -> Rule:
        called = name or function.__name__
        text = description or (inspect.getdoc(function) or called).partition("\n")[0]
        return Rule(_name(called), table, text, blocking, tuple(columns), function)

    return decorate


def expect(
    table: str,
    expectation: Any,
    *,
    name: str | None = None,
    description: str = "",
    blocking: bool = True,
    **arguments: Any,
) -> Rule:
    """Make a :class:`Rule` of an expectation.

    Parameters
    ----------
    table : str
    expectation : str or Expectation
        The name of one, as ``expect_column_values_to_be_between``, or an object of ``great_expectations.expectations``.
    name : str, optional
        Of the check; of the column and the expectation by default.
    description : str
        The expectation with its arguments by default.
    blocking : bool
        As for :func:`rule`.
    **arguments
        Of the expectation.

    Returns
    -------
    Rule
    """
    if not isinstance(expectation, str):
        held = expectation.configuration
        expectation, arguments = held.type, {k: v for k, v in held.kwargs.items() if v is not None} | arguments
    column = "_".join(str(arguments[a]) for a in COLUMN_ARGUMENTS[:3] if a in arguments)
    short = expectation.removeprefix("expect_").removeprefix("column_")
    called = name or re.sub(r"\W", "_", f"{column}_{short}".strip("_"))
    text = description or f"{expectation}: {', '.join(f'{k} {v}' for k, v in arguments.items())}"
    return Rule(_name(called), table, text, blocking, (), None, expectation, arguments)


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise SettingsError(f"rule {name!r}: its name must be letters, digits and underscores")
    return name


def own_rules() -> dict[str, list[Rule]]:
    """Rules of the settings and of the modules of ``extensions``, by table.

    Returns
    -------
    dict of str to list of Rule

    Raises
    ------
    SettingsError
        Two rules of a table have the same name.
    """
    config = settings()
    return _by_table(config.modules, json.dumps([(r.table, r.expectation, r.arguments) for r in config.rules]))


@cache
def _by_table(modules: tuple[ModuleType, ...], of_settings: str) -> dict[str, list[Rule]]:
    found = list(defined(modules, Rule).values())
    found += [expect(table, expectation, **given) for table, expectation, given in json.loads(of_settings)]
    out: dict[str, list[Rule]] = {}
    for one in found:
        if any(one.name == other.name for other in out.setdefault(one.table, [])):
            raise SettingsError(f"two rules of {one.table} are named {one.name}; give one of them another name")
        out[one.table].append(one)
    return out


def check_rules(columns_of: Mapping[str, Iterable[str]], checks_of: Mapping[str, Iterable[str]]) -> None:
    """Refuse rules of tables, columns, expectations or arguments that there are none of.

    Parameters
    ----------
    columns_of : mapping of str to iterable of str
        Columns of every table; empty where they are not known before it is built.
    checks_of : mapping of str to iterable of str
        Names of the checks that each table has by itself.

    Raises
    ------
    SettingsError
        One line for each wrong name.
    """
    problems = []
    for table, rules in own_rules().items():
        for one in rules:
            if table not in columns_of:
                known = known_names(table, columns_of, where="dagster asset list")
                problems.append(f"rule {one.name}: there is no table {table}; {known}")
                continue
            if one.name in checks_of.get(table, ()):
                problems.append(f"rule {one.name}: {table} has a check of that name; give it another")
            have = list(columns_of[table])
            for column in one.named_columns if have else ():
                if column not in have:
                    problems.append(f"rule {one.name}: {table} has no column {column}; {known_names(column, have)}")
            if one.function is None:
                from mg_assets.quality.engine import expectation_problem

                wrong = expectation_problem(one.expectation, one.arguments)
                problems += [f"rule {one.name} of {table}: {wrong}"] if wrong else []
    if problems:
        raise SettingsError(*problems)


def with_rules(table: str, suite: Suite | None) -> Suite | None:
    """A table's suite and the user's rules of it."""
    rules = own_rules().get(table)
    if not rules:
        return suite

    def measure(view: View, measures: Measures) -> None:
        if suite is not None:
            suite.measure(view, measures)
        for one in rules:
            one.measure(view, measures)

    own = tuple(one.check for one in rules)
    return Suite(table, own if suite is None else (*suite.checks, *own), measure)
