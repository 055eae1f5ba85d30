"""The way from a stock's raw rows of one day to each of its 34 intraday factors.

Plain pandas and ``math`` over the rows of one stock, sharing nothing with the kernels but the definitions: what an
explanation arrives at is a check of the stored value.
"""

from mg_assets.factors.explanation.explainer import Explanation, explain
from mg_assets.factors.explanation.factor_path import FactorPath, FactorStep

__all__ = ["Explanation", "FactorPath", "FactorStep", "explain"]
