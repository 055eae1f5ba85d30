"""Evaluate a factor of one's own, as tables and as a page: python examples/evaluate_factor.py [page.html]."""

import sys

from sample_market import adjusted

from mg_portfolio import tear_sheet

price, close = adjusted("vwap"), adjusted("close")
reversal = 1 - close / close.shift(20)  # any frame of dates x symbols, in any order

sheet = tear_sheet(reversal, price, name="reversal_20d", groups=5)
print(sheet.figures.round(4), sheet.layers.round(3), sheet.years.round(3), sheet.decay.round(4), sep="\n\n")
print(sheet.save(sys.argv[1] if len(sys.argv) > 1 else "reversal_20d.html"))
