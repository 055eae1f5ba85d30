"""All factors by name: 34 intraday, 42 daily, 5 common (style) and the 14 multi-granularity features.

Names, order and directions are those of the published tables, so that results join to them. Each entry is the factor's
passport (:class:`FactorSpec`); :mod:`mg_assets.factors.passport_pages` shows it with published and measured results.
"""

from mg_assets.factors.passports import FactorSpec, daily, granular, minute, monitor, order, style, trade

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
    "TRADE",
    "FactorSpec",
]

PASSPORTS: dict[str, FactorSpec] = {
    spec.name: spec for family in (minute, trade, order, monitor, daily, style, granular) for spec in family.SPECS
}


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
