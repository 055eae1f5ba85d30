"""Compiled scans of tick tables and minute bars: how many rows break each rule, and the first of them."""
