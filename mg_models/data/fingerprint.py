"""Digests of a model's inputs, exact to the bit: values, and the days and stocks they belong to."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.splits import Split
from mg_models.specs.model import ModelSpec

HEX = 16


@dataclass(frozen=True)
class InputRecord:
    """What the networks read of one input for one day's predictions.

    Attributes
    ----------
    last : str
        The latest day in the window.
    rows : int
        Rows of the panel in the window, those before the panel's beginning not counted: days, weeks or months.
    stocks : int
        Stocks that were eligible.
    fingerprint : str
        Of the window's values as the panel holds them, and of the stocks.
    """

    last: str
    rows: int
    stocks: int
    fingerprint: str


def array_digest(arrays: Iterable[np.ndarray], labels: Iterable[str] = ()) -> str:
    """Sixteen hex digits of some arrays' bytes, shapes and types, and of some labels."""
    running = hashlib.blake2b(digest_size=HEX // 2)
    for array in arrays:
        running.update(f"{array.dtype.str}{array.shape}".encode())
        running.update(np.ascontiguousarray(array).data)
    running.update("\n".join(labels).encode())
    return running.hexdigest()


def training_digests(
    spec: ModelSpec,
    inputs: Mapping[str, Panel | PeriodPanel],
    labels: np.ndarray,
    eligible: np.ndarray,
    splits: Mapping[str, Split],
) -> dict[str, tuple[str, dict[str, str]]]:
    """Digests, per half-year, of exactly what its training can see.

    From the first row of the first training day's window to the last validation day; where the windows of sampled days
    do not touch, of those windows alone. A stock without a value on a day, or a label of one that is not eligible that
    day, is not in that day's digest, so that the same data gives the same digest on any axis of stocks, and however
    many half-years are trained in one call.

    Parameters
    ----------
    spec : ModelSpec
    inputs : mapping of str to Panel or PeriodPanel
    labels : ndarray (D, S) or (D, S, horizons)
    eligible : ndarray of bool (D, S)
    splits : mapping of str to Split
        By half-year.

    Returns
    -------
    dict of str to tuple
        By half-year: the digest of everything, and those of each input and of the labels.
    """
    window = {i.panel: i.rows for i in spec.inputs}
    spans = {r: (int(min(s.train[0], s.valid[0])), int(s.valid[-1]) + 1) for r, s in splits.items()}
    apart = not any(isinstance(p, PeriodPanel) for p in inputs.values()) and max(window.values()) < spec.split.every
    seen = {r: (np.union1d(s.train, s.valid) if apart else np.arange(*spans[r])) for r, s in splits.items()}
    low = min((b for b, _ in spans.values()), default=0)
    high = max((e for _, e in spans.values()), default=0)
    out: dict[str, dict[str, str]] = {r: {} for r in splits}
    for name, panel in inputs.items():
        rows = window.get(name, 1)
        names = _names(panel.symbols)
        values = panel.to_date if isinstance(panel, PeriodPanel) else panel.values
        reach = 1 if isinstance(panel, PeriodPanel) else rows
        first = max(low - reach + 1, 0)
        daily = _each(values, names, first, high)
        periods: dict[int, bytes] = {}
        if isinstance(panel, PeriodPanel):
            begin = max(int(panel.period_of_day[low]) - rows + 1, 0)
            stop = int(panel.period_of_day[high - 1])
            periods = _each(panel.completed, names, begin, stop)
        for retrain, (start, end) in spans.items():
            whole = hashlib.blake2b("\n".join(panel.features).encode(), digest_size=HEX)
            for day in _behind(seen[retrain], reach):
                whole.update(daily[day])
            if isinstance(panel, PeriodPanel):
                over = panel.period_of_day[start:end]
                for period in range(max(int(over[0]) - rows + 1, 0), int(over[-1])):
                    whole.update(periods[period])
                whole.update((over - over[-1]).tobytes())
            out[retrain][name] = whole.hexdigest()
    symbols = _names(next(iter(inputs.values())).symbols)
    heads = np.asarray(labels, np.float64).reshape(len(labels), labels.shape[1], -1)
    daily = _each(heads, symbols, low, high, eligible)
    for retrain in splits:
        whole = hashlib.blake2b(digest_size=HEX)
        for day in seen[retrain].tolist():
            whole.update(daily[day])
        out[retrain]["labels"] = whole.hexdigest()
    return {r: (array_digest([], [f"{n} {d}" for n, d in each.items()]), each) for r, each in out.items()}


def _behind(days: np.ndarray, reach: int) -> list[int]:
    """Some days and the ``reach - 1`` before each."""
    every = np.unique(days[:, None] - np.arange(reach))
    return every[every >= 0].tolist()


def _names(symbols: np.ndarray) -> np.ndarray:
    return np.array([str(s).encode() for s in symbols], dtype="S16")


def _each(
    values: np.ndarray, names: np.ndarray, first: int, stop: int, among: np.ndarray | None = None
) -> dict[int, bytes]:
    """A digest of each row's stocks that have a value, of ``(rows, stocks, features)``."""
    out = {}
    for at in range(first, stop):
        here = np.isfinite(values[at]).any(-1)
        if among is not None:
            here &= among[at]
        running = hashlib.blake2b(names[here].tobytes(), digest_size=HEX)
        running.update(np.ascontiguousarray(values[at][here]).data)
        out[at] = running.digest()
    return out
