"""What every factor is: formula, sign, units, inputs, source, edge rules, and the definitions that it is not."""

from mg_assets.factors.passports.spec import FactorSpec

__all__ = ["FactorSpec"]
