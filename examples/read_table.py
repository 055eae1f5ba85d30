"""Read a table of the lake between two dates: python examples/read_table.py [lake]."""

import sys

from mg_assets import Lake

lake = Lake(sys.argv[1] if len(sys.argv) > 1 else "lake/demo")  # lake/demo is what `make run` built
bars = lake.read_range("daily_bars", "2023-01-01", "2023-06-30", columns=["close", "volume"])  # pandas
same = lake.read_range("daily_bars", "2023-01-01", "2023-06-30", columns=["close", "volume"], into="polars")
arrow = lake.read_range("daily_bars", "2023-01-01", "2023-06-30", into="arrow")

print(f"{len(bars)} rows from {bars['date'].min():%Y-%m-%d} to {bars['date'].max():%Y-%m-%d}")
print(same.head(2))
print(arrow.schema.names)
