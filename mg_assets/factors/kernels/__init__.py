"""Numba kernels of the factors: arrays of many stocks in, one row of factors a stock out."""
