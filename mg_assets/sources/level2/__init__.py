"""Level-2 files of the exchanges: ticks as trades and orders, and order book snapshots."""
