"""Labelled inputs on common axes: pandas, Polars, Arrow and xarray in, dense arrays out.

The functions of ``mg_portfolio``, ``mg_models`` and ``mg_assets`` compute on dense arrays: days are rows, stocks are
columns. Whoever hands them something with labels gets it aligned by its labels, never by its position:

- a pandas Series or DataFrame with an index of (date, symbol), in either order, as Qlib has it
- a table of pandas, Polars or Arrow with a column of dates, one of symbols and one of values
- a wide table, dates x symbols or symbols x dates (of Polars or Arrow: with a column of dates)
- an xarray DataArray or Dataset with coordinates

One argument of a call gives the axes (its docstring says which). What another argument has beyond them is refused by
name; flags, codes and labels of training may cover more, as they describe days and stocks. What an argument lacks is
missing: NaN, a weight of 0, a flag that is not set. Days ascend and symbols are sorted, so the
order in which rows and columns are handed in changes nothing. Times become the day of Shanghai. Bare arrays, and frames
whose index and columns are pandas' default numbers, are taken as they are. A bare array beside labelled ones is
refused, since nobody knows its order, unless the call names its days and symbols.

Polars, pyarrow and xarray are not imported here: an object of theirs brings them along.

Examples
--------
>>> import numpy as np
>>> import pandas as pd
>>> from mg_axes import PANEL, aligned
>>> @aligned(ValueError, by=("price",), result="ds", signal=PANEL, price=PANEL)
... def scaled(signal, price):
...     return signal * price
>>> price = pd.DataFrame([[10.0, 20.0]], index=["2024-03-04"], columns=["600000.SH", "000001.SZ"])
>>> signal = pd.Series({("600000.SH", "2024-03-04"): 0.5})
>>> scaled(signal, price).loc["2024-03-04"].to_dict()
{'000001.SZ': nan, '600000.SH': 5.0}
>>> scaled(np.ones((1, 2)), price)
Traceback (most recent call last):
ValueError: signal is a bare array, price has labels: give signal with its dates and symbols too
"""

from mg_axes.align import (
    BY_DAY,
    BY_FEATURE,
    BY_STOCK,
    CODES,
    CUBE,
    DAYS,
    FEATURES,
    FLAGS,
    PANEL,
    STOCK_CODES,
    STOCK_FLAGS,
    STOCK_WEIGHTS,
    SYMBOLS,
    WEIGHTS,
    Axes,
    Layout,
    align,
    aligned,
    bare,
    labelled_result,
)
from mg_axes.read import as_days, is_labelled

__all__ = [
    "BY_DAY",
    "BY_FEATURE",
    "BY_STOCK",
    "CODES",
    "CUBE",
    "DAYS",
    "FEATURES",
    "FLAGS",
    "PANEL",
    "STOCK_CODES",
    "STOCK_FLAGS",
    "STOCK_WEIGHTS",
    "SYMBOLS",
    "WEIGHTS",
    "Axes",
    "Layout",
    "align",
    "aligned",
    "as_days",
    "bare",
    "is_labelled",
    "labelled_result",
]
