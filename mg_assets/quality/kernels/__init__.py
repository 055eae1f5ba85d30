"""Compiled scans of tick tables and minute bars: how many rows break each rule, and the first of them."""

from pathlib import Path

from mg_assets.factors.kernels.cache import drop_stale_kernels

drop_stale_kernels(Path(__file__).parent)
