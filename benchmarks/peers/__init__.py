"""The 34 intraday factors of a day in other tools, and the days that all of them read."""
