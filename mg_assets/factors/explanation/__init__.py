"""From a stock's raw rows of one day to each of its 34 intraday factors.

The value is the kernel's, recomputed from the raw rows; which rows count, the bars, the parent orders and the big ones
come from the kernels' own steps. Written here a second time are only the choice of the rows to show and the sums of
those rows that are listed as steps: within a kernel these are partial sums of vectorised loops, and returning them
would change the factors' last bits (returning the means from ``moments.corr`` does). The tests hold the shown rows to
the value by other arithmetic.
"""

from mg_assets.factors.explanation.explainer import Explanation, explain
from mg_assets.factors.explanation.factor_path import FactorPath, FactorStep

__all__ = ["Explanation", "FactorPath", "FactorStep", "explain"]
