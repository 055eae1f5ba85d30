"""The project's own pass over a day's files."""

import pandas as pd

from mg_assets.factors import day_pass


def factors(paths: dict[str, str]) -> pd.DataFrame:
    """All 34 factors of a day's files."""
    return day_pass(**paths).factors.reset_index()
