"""A small Qlib dataset in binary files: prices on the grid of 0.01 yuan, dividends in the factor."""

from pathlib import Path

import numpy as np
import pandas as pd


def write_qlib_dataset(root: Path, days: int, stocks: int) -> Path:
    """Write ``days`` business days from 2021-01-04 of ``stocks`` stocks of Shanghai, and return the folder."""
    rng, dates = np.random.default_rng(11), pd.bdate_range("2021-01-04", periods=days)
    for folder in ("calendars", "instruments", "features"):
        (root / folder).mkdir()
    (root / "calendars" / "day.txt").write_text("\n".join(d.strftime("%Y-%m-%d") for d in dates))
    names = [f"SH{600000 + 11 * k}" for k in range(stocks)]
    (root / "instruments" / "all.txt").write_text("".join(f"{n}\t{dates[0]:%Y-%m-%d}\t2099-12-31\n" for n in names))
    for name in names:
        factor = np.where(np.arange(days) < rng.integers(20, 100), 1.0, 1.0 + 0.1 * rng.random())
        path = np.exp(np.cumsum(0.02 * rng.standard_normal(days)))
        price = np.round((8.0 + 30 * rng.random()) * path / factor, 2)
        raw = {"open": price - 0.01, "high": price + 0.03, "low": price - 0.03, "close": price}
        stored = {field: values * factor for field, values in raw.items()}
        stored |= {"volume": rng.integers(1000, 4_000_000, days) * 100.0 / factor, "factor": factor}
        folder = root / "features" / name.lower()
        folder.mkdir()
        for field, values in stored.items():
            np.append(0.0, values).astype("<f4").tofile(folder / f"{field}.day.bin")
    return root
