"""What a model's training for a half-year reads: windows, panels, labels."""

from collections.abc import Callable, Sequence

import numpy as np

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import half_year_start, shift
from mg_assets.modelling.labels import Axes, training_labels
from mg_assets.modelling.panels import before, lookback, model_inputs, row_tables, tables_of
from mg_models.catalog import ModelSpec
from mg_models.data.panel import Panel, PeriodPanel

EVERY_HALF_YEAR = 80  # half-years of history that a mapping may reach back over: expanding windows


def training_since(spec: ModelSpec, cut: str, lake: Lake | None = None) -> str | None:
    """First day that a training for the half-year beginning at ``cut`` reads; None: the lake's first.

    Parameters
    ----------
    spec : ModelSpec
    cut : str
    lake : Lake, optional
        Leave out the days before its first, but for those that a window may reach back to.

    Returns
    -------
    str or None
    """
    if not spec.split.train_days:
        return None
    first = before(np.datetime64(cut), spec.split.train_days + spec.split.valid_days + lookback(spec))
    begins = [] if lake is None else [k[0] for i in spec.inputs for t in row_tables(spec, i) if (k := lake.keys(t))]
    if begins:
        first = max(first, before(np.datetime64(min(begins)), lookback(spec)))
    return str(first)


def training_windows(spec: ModelSpec) -> tuple[UpstreamWindow, ...]:
    """The windows that an entry's training for a half-year reads: its inputs' tables, each once, and its labels.

    Of a label it reads the returns that are complete before the half-year.

    Returns
    -------
    tuple of UpstreamWindow
    """

    def before(table: str, back: int, columns: tuple[tuple[str, int], ...] = ()) -> UpstreamWindow:
        sessions = spec.split.train_days + spec.split.valid_days + lookback(spec) + back + 1
        every = None if not spec.split.train_days else sessions
        return UpstreamWindow(table, back=EVERY_HALF_YEAR, ahead=-1, sessions=every, columns=columns)

    read = {n.table: before(n.table, n.back) for n in tables_of(spec)}
    if spec.label.price == "vwap":
        complete = tuple((f"ret_{h}", h + 1) for h in spec.label.horizons)
        read["labels"] = before("labels", 0, (("symbol", 0), *complete))
    else:
        read.setdefault("daily_bars", before("daily_bars", 0))
        read.setdefault("reference", before("reference", 0, (("symbol", 0), ("list_date", 0))))
    return tuple(read.values())


def training_data(
    lake: Lake, spec: ModelSpec, half_years: Sequence[str], on_day: Callable[[int, int], None] | None = None
) -> tuple[dict[str, Panel | PeriodPanel], Axes, np.ndarray, np.ndarray]:
    """What the trainings of an entry for some half-years read: panels and axes, labels and their days.

    Parameters
    ----------
    lake : Lake
    spec : ModelSpec
    half_years : sequence of str
        ``2017H1``.
    on_day : callable, optional
        As in :func:`model_inputs`.

    Returns
    -------
    panels, axes
        Of :func:`model_inputs`.
    labels, label_end
        Of :func:`training_labels`.

    Raises
    ------
    DataError
        The inputs begin only after the last of the half-years has begun.
    """
    cut = str(half_year_start(max(half_years)))
    begins = {t: k[0] for t in (t for i in spec.inputs for t in row_tables(spec, i)) if (k := lake.keys(t))}
    latest = max(begins, key=lambda table: begins[table], default=None)
    if latest is not None and begins[latest] >= cut:
        raise DataError(
            f"{spec.name}, retrain {', '.join(half_years)}: no training day before {cut}, as {latest} begins on "
            f"{begins[latest]}; give it a longer history, or a later half-year"
        )
    since = training_since(spec, str(half_year_start(min(half_years))), lake)
    inputs, axes = model_inputs(lake, spec, since, str(shift(cut, -1)), trained=half_years, on_day=on_day)
    return inputs, axes, *training_labels(lake, axes, spec)
