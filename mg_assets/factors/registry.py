"""All factors by name: the published ones (intraday, daily, common, multi-granularity features) and the user's own.

Names, order and directions of the published ones are those of the published tables, so that results join to them. Each
entry is the factor's passport (:class:`FactorSpec`); :mod:`mg_assets.factors.passport_pages` shows it with published
and measured results. The published sets stay what they are: a further factor is a
:class:`~mg_assets.factors.own.Factor` of one of :data:`MODULES` or of the settings' ``extensions``, and gets a table of
its own.
"""

from functools import cache
from types import ModuleType

from mg_assets.errors import SettingsError
from mg_assets.extensions import defined
from mg_assets.factors.own import Factor
from mg_assets.factors.passports import FactorSpec, daily, granular, minute, monitor, order, style, trade
from mg_assets.settings import settings
from mg_assets.settings.values import known_names

__all__ = [
    "ALL34",
    "COMMON",
    "DAILY",
    "FACTORS",
    "GRANULAR",
    "HF27",
    "MINUTE",
    "MONITOR",
    "ORDER",
    "PASSPORTS",
    "PUBLISHED_TABLES",
    "TRADE",
    "FactorSpec",
    "check_tables",
    "own_factors",
    "passports",
    "table_of",
]

PASSPORTS: dict[str, FactorSpec] = defined((minute, trade, order, monitor, daily, style, granular), FactorSpec)
"""Of the published factors."""


def _family(*names: str) -> tuple[str, ...]:
    return tuple(spec.name for spec in PASSPORTS.values() if spec.family in names)


MINUTE = _family("minute")
TRADE = _family("trade")
ORDER = _family("order")
MONITOR = _family("monitor")
HF27 = MINUTE + TRADE + ORDER
ALL34 = HF27 + MONITOR
DAILY = _family("daily")
COMMON = _family("common")
GRANULAR = _family("granular")

FACTORS: dict[str, FactorSpec] = {name: PASSPORTS[name] for name in ALL34}

PUBLISHED_TABLES: dict[str, tuple[str, ...]] = {
    "intraday_factors": ALL34,
    "daily_factors": DAILY,
    "common_factors": COMMON,
    "features_240m": GRANULAR,
}
"""The published factors that a lake table holds as columns."""

MODULES: tuple[ModuleType, ...] = ()
"""Modules of this package that define factors beside the published sets."""

READABLE = (
    *("trades", "orders", "snapshots", "minute_bars", "daily_bars", "reference"),
    *PUBLISHED_TABLES,
    *("features_60m", "features_30m"),
)
"""Daily tables that a factor may read: what is known at the day's close."""


def own_factors(extensions: tuple[ModuleType, ...] | None = None) -> dict[str, Factor]:
    """Factors of :data:`MODULES` and of a deployment's extensions, by name.

    Parameters
    ----------
    extensions : tuple of module, optional
        Those of the settings by default; while these are read, those that they name.

    Returns
    -------
    dict of str to Factor

    Raises
    ------
    SettingsError
        A name is that of a published factor or given twice, or a parameter is no table that a factor may read. Or, of
        the settings' own, a factor has the name of a signal: a part of that name could be either.
    """
    if extensions is not None:
        return _own((*MODULES, *extensions))
    found = _own((*MODULES, *settings().modules))
    signals = settings().catalogs.signals
    taken = [
        f"factor {name} has the name of a signal; rename one of them"
        for name in (*found, *PASSPORTS)
        if name in signals
    ]
    if taken:
        raise SettingsError(*taken)
    return found


@cache
def _own(modules: tuple[ModuleType, ...]) -> dict[str, Factor]:
    found = defined(modules, Factor)
    problems = [f"factor {n} is a published one, in {table_of(n, ())}; rename yours" for n in found if n in PASSPORTS]
    for one in found.values():
        try:
            check_tables(one)
        except SettingsError as error:
            problems += error.args
    if problems:
        raise SettingsError(*problems)
    return found


def check_tables(factor: Factor) -> None:
    """Refuse a factor that reads what it may not.

    Raises
    ------
    SettingsError
        A parameter is none of :data:`READABLE`, or a column none of a table of factors.
    """
    for table in factor.tables:
        if table not in READABLE:
            raise SettingsError(
                f"factor {factor.name}: the parameter {table} is no daily table; {known_names(table, READABLE)}"
            )
        for column in factor.columns.get(table, ()):
            if column not in ("symbol", *PUBLISHED_TABLES.get(table, (column,))):
                known = known_names(column, PUBLISHED_TABLES[table], where="docs/factors.md")
                raise SettingsError(f"factor {factor.name}: {table} has no column {column}; {known}")


def passports() -> dict[str, FactorSpec]:
    """Passports of the published factors and of the user's own, by name."""
    return PASSPORTS | {name: one.spec for name, one in own_factors().items()}


def table_of(name: str, extensions: tuple[ModuleType, ...] | None = None) -> str:
    """The lake table that holds a factor as a column.

    Parameters
    ----------
    name : str
        Of a published factor or of one of the user's own; it is the column's name too.
    extensions : tuple of module, optional
        As for :func:`own_factors`.

    Returns
    -------
    str

    Raises
    ------
    SettingsError
        There is no such factor; the message names the nearest.
    """
    for table, names in PUBLISHED_TABLES.items():
        if name in names:
            return table
    own = own_factors(extensions)
    if name not in own:
        known = known_names(name, [*PASSPORTS, *own], where="mg factors")
        raise SettingsError(f"no factor is named {name!r}; {known}")
    return own[name].table
