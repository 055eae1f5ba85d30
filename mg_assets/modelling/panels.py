"""Model inputs and training labels from the lake's tables."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mg_assets.errors import DataError, SettingsError
from mg_assets.factors.cross_section import FIVE_MAD, WIDTH, preprocess
from mg_assets.factors.daily import DAILY42
from mg_assets.factors.granular import FEATURES, GRANULARITIES
from mg_assets.factors.registry import HF27, own_factors, table_of
from mg_assets.lake.store import Lake
from mg_assets.lake.universe import listed_days, tradable_universe
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import OPENING, month_of, shift, trading_days, week_of
from mg_assets.modelling.labels import Axes, flag, training_labels
from mg_assets.settings import settings
from mg_assets.settings.values import known_names
from mg_models.catalog import InputSpec, ModelSpec
from mg_models.data.bar_panels import bar_inputs
from mg_models.data.liquid_universe import LISTED_DAYS, YEAR, liquid
from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.price_volume import LOOK_BACK, price_volume_panel

LOOKBACK = 39  # days before the first predicted one that bars are read for
WEEKLY_BACK, MONTHLY_BACK = 100, 260  # sessions before those that weeks and months are read for
BARS = ("open", "high", "low", "close", "vwap", "volume")
BAR_PANELS = ("daily", "weekly", "monthly")
COLUMN_SETS = {"hf27": HF27, "daily42": DAILY42}
"""Names of several factors at once, among the columns that an entry chooses."""
RAW_PANELS = ("daily_factors", *GRANULARITIES)
"""Tables of raw factors, preprocessed here: winsorised, z-scored, missing 0."""
MADS = {"daily_factors": FIVE_MAD}
"""MADs to which a table's factors are winsorised: series 69's five; where no report says how many, ours."""
MEMBERS_BACK = YEAR + 70  # the past year of the last quarter's end
CHUNK = 32  # days of raw factors in memory at a time: 300 MB of half-hours of 5,000 stocks
ADJUSTED = (*BARS, "adj_factor")
TRADABLE = ("st", "suspended", "list_date")  # of the reference: what the universe is decided by
LIQUID = ("close", "vwap", "volume", "amount", "float_shares", "suspended", "st")  # of the daily bars
LISTED = ("list_date", "total_shares")  # of the reference: what else the pool is formed by


def lookback(spec: ModelSpec) -> int:
    """Days before a predicted one that its inputs reach back."""
    back = {**dict.fromkeys(BAR_PANELS, LOOKBACK), "price_volume": LOOK_BACK}
    return max(back.get(i.panel, i.rows - 1) for i in spec.inputs)


def tables_of(spec: ModelSpec) -> tuple[UpstreamWindow, ...]:
    """The tables that an entry's inputs are made of, each once, the first input's first.

    Returns
    -------
    tuple of UpstreamWindow

    Raises
    ------
    DataError
        The entry names an input that the lake cannot make.
    """
    needs = [n for i in spec.inputs for n in tables_of_input(spec, i)]
    if spec.universe:  # each day of a window is standardised within the pool of that day
        back = MEMBERS_BACK + lookback(spec)
        needs += [UpstreamWindow("daily_bars", back=back), UpstreamWindow("reference", back=back)]
    longest = {n.table: max(m.back for m in needs if m.table == n.table) for n in needs}
    return tuple(UpstreamWindow(table, back=back) for table, back in longest.items())


def tables_of_input(spec: ModelSpec, i: InputSpec) -> tuple[UpstreamWindow, ...]:
    """The tables that one of an entry's inputs is made of; the first is the one that its rows come from."""
    if i.columns:
        tables = dict.fromkeys(chosen_columns(spec, i).values())
        return tuple(UpstreamWindow(t, back=i.rows - 1) for t in (*tables, *_reference_of(tables)))
    if i.panel in BAR_PANELS:
        return (
            UpstreamWindow("daily_bars", back=LOOKBACK),
            UpstreamWindow("weekly_bars", back=LOOKBACK + WEEKLY_BACK),
            UpstreamWindow("monthly_bars", back=LOOKBACK + MONTHLY_BACK),
        )
    if i.panel == "price_volume":
        return (UpstreamWindow("daily_bars", back=LOOK_BACK),)
    if i.panel == "hf":
        return (UpstreamWindow("factor_inputs", back=i.rows - 1),)
    if i.panel in RAW_PANELS:
        return UpstreamWindow(i.panel, back=i.rows - 1), UpstreamWindow("reference", back=i.rows - 1)
    near = known_names(i.panel, (*BAR_PANELS, "price_volume", "hf", *RAW_PANELS))
    raise DataError(f"{spec.name} reads the input {i.panel!r}, which the lake cannot make; {near}")


def chosen_columns(spec: ModelSpec, i: InputSpec) -> dict[str, str]:
    """The factors that an input chooses by its columns, and the table of each.

    The published high-frequency factors are read as their models read them, from ``factor_inputs``; all others raw.

    Returns
    -------
    dict of str to str
        In the order of the columns.

    Raises
    ------
    DataError
        The input is of bars or of several steps a day, or a column is no factor, or is chosen twice.
    """
    where = f"{spec.name}: input {i.panel}"
    if i.panel in (*BAR_PANELS, "price_volume") or i.per_day > 1 or i.scale != "none":
        raise DataError(f"{where}: columns choose factors of a day; bars and steps within the day have none to choose")
    names = [n for column in i.columns for n in COLUMN_SETS.get(column, (column,))]
    twice = [n for at, n in enumerate(names) if n in names[:at]]
    if twice:
        raise DataError(f"{where} has the column {twice[0]} twice")
    own_factors()  # a fault of theirs is said by itself, not as one of this input
    try:
        return {n: "factor_inputs" if n in HF27 else table_of(n) for n in names}
    except SettingsError as error:
        raise DataError(f"{where}: {error} (or {', '.join(COLUMN_SETS)})") from error


def _reference_of(tables: Iterable[str]) -> tuple[str, ...]:
    """The table that raw factors are standardised with; none where all are ready."""
    return ("reference",) if set(tables) - {"factor_inputs"} else ()


def row_tables(spec: ModelSpec, i: InputSpec) -> tuple[str, ...]:
    """The tables whose stocks are an input's rows."""
    if i.columns:
        return tuple(dict.fromkeys(chosen_columns(spec, i).values()))
    return (tables_of_input(spec, i)[0].table,)


def columns_of(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    """The columns that an entry's inputs are made of, by table."""
    found: dict[str, list[str]] = {need.table: [] for need in tables_of(spec)}
    for i in spec.inputs:
        if i.columns:
            chosen = chosen_columns(spec, i)
            for name, table in chosen.items():
                found[table].append(name)
            for table in _reference_of(chosen.values()):
                found[table] += TRADABLE
        elif i.panel in BAR_PANELS:
            for table, columns in (("daily_bars", ADJUSTED), ("weekly_bars", BARS), ("monthly_bars", BARS)):
                found[table] += columns
        elif i.panel == "price_volume":
            found["daily_bars"] += ADJUSTED
        elif i.panel == "hf":
            found["factor_inputs"] += HF27
        else:
            found[i.panel] += raw_columns(i.panel)
            found["reference"] += TRADABLE
    if spec.universe:
        found["daily_bars"] += LIQUID
        found["reference"] += LISTED
    return {table: tuple(dict.fromkeys(columns)) for table, columns in found.items()}


def model_inputs(
    lake: Lake,
    spec: ModelSpec,
    since: str | None = None,
    until: str | None = None,
    predicted: Sequence[str] = (),
    trained: Sequence[str] = (),
    on_day: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Panel | PeriodPanel], Axes]:
    """Panels of a catalog entry's inputs, and of its universe, between two days, both inclusive.

    Days without a partition are empty. Raw factors are preprocessed here, per day: winsorised (:data:`MADS`), z-scored,
    missing 0, not neutralised. Over the tradable universe, or over the pool of an entry that has one; tradable stocks
    outside the pool are put on its scale, since they are in the windows of days on which they have joined it.

    Parameters
    ----------
    lake : Lake
    spec : ModelSpec
    since, until : str, optional
        By default the first and the last day that the lake has.
    predicted, trained : sequence of str, optional
        The days that are predicted, or the half-years whose trainings read the inputs. Of ``price_volume``, whose days
        take long, only what those read is made, the other days stay empty; by default every day.
    on_day : callable, optional
        Takes the days of ``price_volume`` that are made and their total, after each.

    Returns
    -------
    panels : dict of str to Panel or PeriodPanel
        By name of the input, and of the universe.
    axes : Axes
        The days and symbols of all of them.

    Raises
    ------
    DataError
        The entry names an input or a universe that the lake cannot make.
    """
    tables = list(dict.fromkeys(table for i in spec.inputs for table in row_tables(spec, i)))
    have = [lake.keys(t) for t in tables]
    first = since or max((k[0] for k in have if k), default=OPENING)
    last = until or max((k[-1] for k in have if k), default=first)
    days = [str(d) for d in trading_days(first, last)]
    symbols = np.array(
        sorted(set().union(*(lake.panel(t, days, [], missing="empty").symbols for t in tables))), dtype=object
    )
    axes = Axes(np.array(days, "datetime64[D]"), symbols)
    out: dict[str, Panel | PeriodPanel] = {}
    pool = _members(lake, spec, axes) if spec.universe else None
    for i in spec.inputs:
        if i.columns:
            out[i.panel] = _chosen(lake, chosen_columns(spec, i), days, axes, pool)
        elif i.panel == "hf":
            panel = lake.panel("factor_inputs", days, list(HF27), symbols, missing="empty", dtype=np.float32)
            out["hf"] = Panel(axes.days, symbols, panel.stack(HF27), tuple(HF27))
        elif i.panel in RAW_PANELS:
            out[i.panel] = _standardised(lake, i.panel, days, axes, raw_columns(i.panel), pool)
        elif i.panel == "price_volume":
            bars = _adjusted(lake, days, symbols)
            rows = _read_days(lake, spec, axes, bars, predicted, trained)
            out["price_volume"] = price_volume_panel(axes.days, symbols, bars, rows, settings().worker_count, on_day)
        elif i.panel not in out:
            out |= _bars(lake, days, axes.days, symbols)
    if pool is not None:
        out[spec.universe] = pool
    return out, axes


def _read_days(
    lake: Lake, spec: ModelSpec, axes: Axes, bars: np.ndarray, predicted: Sequence[str], trained: Sequence[str]
) -> np.ndarray | None:
    """Indices of the days whose ``price_volume`` some predictions or trainings read.

    A training samples its days from the first that is usable. Where the input is the only one and of the day alone,
    that is known from the bars: a stock has it on the days on which it traded.

    Returns
    -------
    ndarray of int or None
        None: every day.
    """
    if [i.steps for i in spec.inputs] != [1]:
        return None
    if predicted:
        return np.searchsorted(axes.days, np.array(predicted, "datetime64[D]"))
    if not trained or spec.universe:
        return None
    from mg_models.data.dataset import usable_days
    from mg_models.data.splits import split
    from mg_models.errors import TrainingError

    labels, _ = training_labels(lake, axes, spec)
    usable = usable_days(spec, np.logical_and.reduce(np.isfinite(bars) & (bars > 0), axis=-1), labels)
    rows = []
    for half_year in trained:
        try:
            days = split(axes.days, half_year, spec.horizon, spec.split, usable=usable)
        except TrainingError:  # the training itself says so, of the days that it has
            return None
        rows += [days.train, days.valid]
    return np.unique(np.concatenate(rows)) if rows else None


def raw_columns(table: str) -> tuple[str, ...]:
    """Columns of a table of raw factors in the order in which models read them: step by step of the day."""
    if table == "daily_factors":
        return tuple(DAILY42)
    steps = 240 // GRANULARITIES[table]
    return FEATURES if steps == 1 else tuple(f"{f}_{k}" for k in range(1, steps + 1) for f in FEATURES)


def _chosen(lake: Lake, columns: dict[str, str], days: list[str], axes: Axes, pool: Panel | None) -> Panel:
    """Factors of several tables beside one another; a stock that only some of them have is 0, their mean, in others."""
    values = np.full((len(days), len(axes.symbols), len(columns)), np.nan, np.float32)
    for table in dict.fromkeys(columns.values()):
        names = tuple(n for n, t in columns.items() if t == table)
        at = [k for k, t in enumerate(columns.values()) if t == table]
        if table == "factor_inputs":
            panel = lake.panel(table, days, list(names), axes.symbols, missing="empty", dtype=np.float32)
            values[..., at] = panel.stack(names)
        else:
            values[..., at] = _standardised(lake, table, days, axes, names, pool).values
    here = np.isfinite(values)
    values[here.any(axis=-1, keepdims=True) & ~here] = 0.0
    return Panel(axes.days, axes.symbols, values, tuple(columns))


def _standardised(
    lake: Lake, table: str, days: list[str], axes: Axes, names: tuple[str, ...], pool: Panel | None
) -> Panel:
    values = np.full((len(days), len(axes.symbols), len(names)), np.nan, np.float32)
    row_of = {day: at for at, day in enumerate(days)}
    have = set(lake.keys(table))
    present = [day for day in days if day in have]
    for begin in range(0, len(present), CHUNK):
        keys = present[begin : begin + CHUNK]
        raw = lake.panel(table, keys, list(names), axes.symbols).stack(names)  # (days, stocks, factors)
        info = lake.panel("reference", keys, TRADABLE, axes.symbols)
        for key, section, tradable in zip(keys, raw, tradable_universe(keys, info), strict=True):
            at = row_of[key]
            inside = tradable & np.isfinite(section).any(axis=1)
            among = inside if pool is None else inside & np.isfinite(pool.values[at, :, 0])
            values[at] = preprocess(section, None, None, among, mads=MADS.get(table, WIDTH), scaled=inside)
    return Panel(axes.days, axes.symbols, values, names)


def _members(lake: Lake, spec: ModelSpec, axes: Axes) -> Panel:
    """Members of the universe on each day (1, else NaN), read from a year and a quarter before the first.

    A quarter's end ranks every stock of its day, also those that were delisted since: they are not on the axes of a
    later day, whose members would otherwise differ from those of a longer read.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        The universe is not ``liquid``, or the lake has no market values.
    """
    if spec.universe != "liquid":
        raise DataError(f"{spec.name} takes its stocks from the universe {spec.universe!r}; the lake can make 'liquid'")
    days = [str(d) for d in trading_days(before(axes.days[0], MEMBERS_BACK), axes.days[-1])]
    everyone = np.union1d(axes.symbols, lake.panel("daily_bars", days, [], missing="empty").symbols)
    bars = lake.panel("daily_bars", days, LIQUID, everyone, missing="empty")
    listed = lake.panel("reference", days, LISTED, everyone, missing="empty")
    amount = np.where(np.isfinite(bars["amount"]), bars["amount"], bars["vwap"] * bars["volume"])
    total = np.asarray(listed["total_shares"], np.float64)
    cap = bars["close"] * np.where(np.isfinite(total), total, bars["float_shares"])
    if bars.present.any() and not np.isfinite(cap).any():
        raise DataError(
            f"{spec.name}: no stock has total_shares or float_shares between {days[0]} and {days[-1]}, and its "
            "universe ranks market values; give the source's, or leave the model out of the catalog"
        )
    suspended, st = flag(bars["suspended"]), flag(bars["st"])
    old = listed_days(days, np.asarray(listed["list_date"], "datetime64[D]")) >= LISTED_DAYS
    member = liquid(np.array(days, "datetime64[D]"), amount, cap, suspended, bars.present & ~st & old)
    own = np.searchsorted(everyone, axes.symbols)
    shown = np.where(member[-len(axes.days) :, own], 1.0, np.nan)[..., None]
    return Panel(axes.days, axes.symbols, shown, ("member",))


def market_value_basis(lake: Lake, day: str) -> str:
    """Shares that market values are made of on a day: the total where the source has it, else the free float."""
    total = np.asarray(lake.panel("reference", [day], ["total_shares"])["total_shares"], np.float64)
    known = float(np.isfinite(total).mean()) if total.size else 0.0
    if known in (0.0, 1.0):
        return "total shares" if known else "free-float shares: the source has no total_shares"
    return f"total shares of {known:.0%} of the stocks, free-float shares of the others"


def before(day: np.datetime64, sessions: int) -> np.datetime64:
    """The trading day ``sessions`` before, or the first of the calendar."""
    days = trading_days(end=day)
    return days[max(len(days) - 1 - sessions, 0)]


def _adjusted(lake: Lake, days: list[str], symbols: np.ndarray) -> np.ndarray:
    """Adjusted daily bars ``(D, S, 6)`` in the order of BARS."""
    panel = lake.panel("daily_bars", days, ADJUSTED, symbols, missing="empty")
    factor = panel["adj_factor"][..., None]
    daily = panel.stack(BARS)
    daily[..., :5] *= factor
    daily[..., 5] /= factor[..., 0]
    return daily


def _bars(lake: Lake, days: list[str], stamps: np.ndarray, symbols: np.ndarray) -> dict[str, Panel | PeriodPanel]:
    daily = _adjusted(lake, days, symbols)
    weeks = _periods(lake, "weekly_bars", days[0], -WEEKLY_BACK, week_of(stamps[-1:]))
    months = _periods(lake, "monthly_bars", days[0], -MONTHLY_BACK, month_of(stamps[-1:]))
    return bar_inputs(
        stamps,
        symbols,
        daily,
        np.array(weeks, "datetime64[D]"),
        lake.panel("weekly_bars", weeks, BARS, symbols).stack(BARS),
        np.array(months, "datetime64[D]"),
        lake.panel("monthly_bars", months, BARS, symbols).stack(BARS),
    )


def _periods(lake: Lake, table: str, first: str, sessions: int, last: np.ndarray) -> list[str]:
    """Keys of a table from ``sessions`` before ``first`` to the period ``last``; bar_inputs names those it lacks."""
    return [k for k in lake.keys(table) if str(shift(first, sessions)) <= k <= str(last[0])]
