"""A signal in the form of Qlib's predictions, for pyqlib's own analysis, backtest and online serving.

Qlib keeps predictions as a frame with the index (datetime, instrument) and a column ``score``, in its recorder under
``pred.pkl``. A pickle runs code when it is opened, so a signal is written as Parquet or CSV; in an environment with
pyqlib two lines put it into the recorder::

    pred = pd.read_parquet("pred.parquet")  # or pd.read_csv("pred.csv", index_col=[0, 1], parse_dates=[0])
    R.save_objects(**{"pred.pkl": pred})  # inside `with R.start(experiment_name="mg"):`
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_axes import PANEL, align


def qlib_prediction(scores: Any) -> pd.DataFrame:
    """Turn a signal into the frame that Qlib keeps as ``pred.pkl``.

    Parameters
    ----------
    scores : labelled (D, S)
        A signal by date and symbol, of pandas, Polars, Arrow or xarray; see :mod:`mg_axes`.

    Returns
    -------
    DataFrame
        Index (datetime, instrument as ``SH600000``), ascending; column ``score``. Without the stocks that have none.

    Raises
    ------
    DataError
        Scores without labels or without a value, or a symbol that is not like ``600000.SH``.
    """
    found, axes = align(DataError, {"scores": PANEL}, {"scores": scores})
    if not axes:
        raise DataError("scores had no dates and symbols: give a labelled signal")
    if not np.isfinite(found["scores"]).any():
        raise DataError(f"scores had no finite value on {len(axes['d'])} days of {len(axes['s'])} symbols")
    strange = [symbol for symbol in axes["s"] if len(symbol) != 9 or symbol[6] != "."]
    if strange:
        raise DataError(f"scores had {len(strange)} symbols that are not like 600000.SH, the first {strange[0]}")
    instruments = [f"{symbol[7:]}{symbol[:6]}" for symbol in axes["s"]]
    index = [pd.DatetimeIndex(axes["d"].astype("datetime64[ns]")), pd.Index(instruments)]
    rows = pd.MultiIndex.from_product(index, names=["datetime", "instrument"])
    frame = pd.DataFrame({"score": found["scores"].ravel()}, rows)
    return frame[np.isfinite(frame["score"])].sort_index()


def save_qlib_prediction(scores: Any, path: str | Path) -> Path:
    """Write a signal as Qlib's prediction.

    Parameters
    ----------
    scores : labelled (D, S)
        See :func:`qlib_prediction`.
    path : str or Path
        ``pred.parquet`` or ``pred.csv``.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    DataError
        Another ending, scores that cannot be read, or a file that cannot be written.
    """
    target = Path(path)
    frame = qlib_prediction(scores)
    if target.suffix not in (".parquet", ".csv"):
        raise DataError(f"{target.name} must end in .parquet or .csv: Qlib's own pickle runs code when it is opened")
    try:
        frame.to_parquet(target) if target.suffix == ".parquet" else frame.to_csv(target)
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error.strerror or error}): give a file in a folder that is there"
        ) from error
    return target
