"""Scores of a signal's days from a lake, each with a leakage certificate of its inputs.

One function for each kind of signal: :func:`of_model`, :func:`weighted_by_hand`, :func:`fused`, :func:`of_table`. The
prediction assets
call them on the lake; the certificate's check calls them again on the lake as of a day's close
(:class:`~mg_assets.lake.as_of.AsOfLake`) and compares. Certificates: :mod:`mg_assets.modelling.certificates`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mg_assets.errors import SettingsError
from mg_assets.factors.cross_section import WIDTH, preprocess
from mg_assets.factors.own import SCORES
from mg_assets.factors.registry import ALL34, FACTORS, HF27, own_factors, passports, table_of
from mg_assets.lake.store import Lake
from mg_assets.lake.universe import tradable_universe
from mg_assets.market.calendar import month_of, shift, trading_days, week_of
from mg_assets.modelling.panels import MADS, TRADABLE, lookback, model_inputs, tables_of_input
from mg_assets.modelling.score_tables import digest_of as of_scores
from mg_assets.modelling.score_tables import scores_of
from mg_assets.settings import settings
from mg_assets.settings.catalogs import TableSignal
from mg_assets.settings.values import known_names
from mg_models.catalog import CombinationSpec, ModelSpec
from mg_models.combine import equal_weight, fuse, icir_weight, icir_weights
from mg_models.data.fingerprint import InputRecord, array_digest
from mg_portfolio.evaluation.evaluate import rank_ic_by_day

if TYPE_CHECKING:  # torch is loaded by the steps that use it
    from mg_models.checkpoint import TrainedModel

Certificate = dict[str, Any]
ICIR_PRICE = ("vwap", "adj_factor")  # of the daily bars: returns that ICIR weights come from
WEEKS_FROM = "2013-01-04"  # a day on which a week of ICIR begins


@dataclass(frozen=True)
class Scored:
    """A signal's scores of a day.

    Attributes
    ----------
    table, key : str
        The signal and the day.
    frame : DataFrame
        ``symbol`` and ``score``, by symbol; stocks without a score are left out.
    why : str
        Why there are no scores, where there are none.
    certificate : dict
        See :mod:`mg_assets.modelling.certificates`; empty where there are no scores.
    """

    table: str
    key: str
    frame: pd.DataFrame
    why: str = ""
    certificate: Certificate = field(default_factory=dict)


def of_model(
    lake: Lake,
    spec: ModelSpec,
    load: "Callable[[], Sequence[TrainedModel]]",
    keys: Sequence[str],
    device: str = "cpu",
) -> Iterator[Scored]:
    """Every signal of a trained model on some days of its half-year, ascending; ``load`` gives its seeds."""
    from mg_models.inference import predict_signals

    inputs, axes = model_inputs(lake, spec, str(shift(keys[0], -lookback(spec))), keys[-1], predicted=keys)
    if not len(axes.symbols):
        yield from (nothing(table, key, "no inputs in the window") for key in keys for table in spec.signals)
        return
    models = load()
    records: list[dict[str, InputRecord]] = []
    values = predict_signals(models, inputs, np.array(keys, "datetime64[D]"), device, records=records)
    trained = _training(models)
    periods = {t: lake.keys(t) for t in ("weekly_bars", "monthly_bars")} if _reads_periods(spec) else {}
    for at, key in enumerate(keys):
        record = {**trained, "inputs": _inputs(spec, records[at], key, periods), "made": _made(device)}
        for table in spec.signals:
            yield scored(table, key, axes.symbols, values[table][at], "no stock has its inputs", record)


def weighted_by_hand(lake: Lake, spec: CombinationSpec, back: int, keys: Sequence[str]) -> Iterator[Scored]:
    """A synthesis of the high-frequency factors by equal or by ICIR weights, which look ``back`` days."""
    directions = np.array([FACTORS[n].direction for n in HF27], float)
    days = [str(d) for d in trading_days(shift(keys[0], -back) if back else keys[0], keys[-1])]
    panel = lake.panel("factor_scores", days, list(HF27), missing="empty")
    at = np.searchsorted(panel.days.astype(str), keys)
    scores = panel.stack(HF27)  # (day, stock, factor)
    if not len(panel.symbols):
        yield from (nothing(spec.name, k, "no factor scores in the window") for k in keys)
        return
    weekly: list[dict[str, str]] = [{} for _ in keys]
    if spec.rule == "equal_weight":
        few = "no factors"
        weights = np.tile(directions, (len(keys), 1))
        values = equal_weight(scores[at], directions)
    else:
        few = f"fewer than {spec.min_observations} weekly RankICs available"
        weights, weekly = _icir(lake, spec, scores, panel.days, panel.symbols, at)
        values = icir_weight(scores[at], weights)
    for k, key in enumerate(keys):
        here = panel.present[at[k]]
        given = array_digest([scores[at[k]][here], weights[k]], panel.symbols[here].tolist())
        record: Certificate = {"inputs": {"factor_scores": {"last": key, "fingerprint": given}}, "made": _made("cpu")}
        if weekly[k]:
            record["weights"] = weekly[k]
        yield scored(spec.name, key, panel.symbols, values[k], few, record)


class ScorePart(NamedTuple):
    """A part of a weighted mean: the table and column of its scores, and the sign they are used with.

    ``raw`` scores are winsorised and z-scored over the tradable universe first, as a model's inputs are.
    """

    table: str
    column: str = "score"
    sign: int = 1
    raw: bool = False


def score_part(name: str) -> ScorePart:
    """Where the scores of a signal or factor are: of a factor those that it is evaluated with.

    Parameters
    ----------
    name : str

    Returns
    -------
    ScorePart

    Raises
    ------
    SettingsError
        There is no such signal or factor.
    """
    if name in settings().catalogs.signals:
        return ScorePart(name)
    own = own_factors()
    if name in ALL34:
        return ScorePart("factor_scores", name, FACTORS[name].direction)
    if name in own:
        return ScorePart(SCORES, name, own[name].sign)
    known = passports()
    if name not in known:
        near = known_names(name, [*settings().catalogs.signals, *known], where="docs/models.md and mg factors")
        raise SettingsError(f"{name!r} is neither a signal nor a factor; {near}")
    return ScorePart(table_of(name), name, known[name].direction or 1, raw=True)


def _part_scores(lake: Lake, part: ScorePart, key: str) -> pd.DataFrame:
    """Symbols and scores of a day, signed; stocks without a score are left out."""
    if part.column == "score" and not part.raw:
        return lake.day(part.table, key, ["symbol", "score"])
    days = lake.panel(part.table, [key], [part.column], missing="empty")
    values = days[part.column][0].astype(float)
    if part.raw and len(values):
        info = lake.panel("reference", [key], TRADABLE, days.symbols, missing="empty")
        inside, mads = tradable_universe([key], info)[0] & np.isfinite(values), MADS.get(part.table, WIDTH)
        values = np.where(inside, preprocess(values[:, None], None, None, inside, mads=mads)[:, 0], np.nan)
    here = np.isfinite(values)
    return pd.DataFrame({"symbol": pd.Series(days.symbols[here], dtype="str"), "score": part.sign * values[here]})


def fused(lake: Lake, spec: CombinationSpec, key: str) -> Scored:
    """The weighted mean of a day's z-scored signals and factors, over the stocks that all of them score."""
    parts = {p: _part_scores(lake, score_part(p), key) for p in spec.parts}
    absent = [p for p, part in parts.items() if not len(part)]
    if absent:
        return nothing(spec.name, key, f"no {' and no '.join(absent)} this day")
    symbols = np.array(sorted(set.intersection(*(set(p["symbol"]) for p in parts.values()))), dtype=object)
    rows = [part.set_index("symbol")["score"].reindex(symbols).to_numpy(float)[None] for part in parts.values()]
    value = fuse(list(zip(rows, spec.weights, strict=True)))[0]
    record = {
        "inputs": {p: {"last": key, "fingerprint": of_scores(part)} for p, part in parts.items()},
        "made": _made("cpu"),
    }
    return scored(spec.name, key, symbols, value, "the parts share no stock", record)


def of_table(signal: TableSignal, key: str) -> Scored:
    """A day's scores of a file of the user's own."""
    frame = scores_of(signal).days.get(key)
    if frame is None:
        return nothing(signal.name, key, f"{signal.path} has no scores of this day")
    record = {"inputs": {"file": {"last": key, "fingerprint": of_scores(frame)}}, "made": _made("cpu")}
    symbols, score = frame["symbol"].to_numpy(object), frame["score"].to_numpy(float)
    return scored(signal.name, key, symbols, score, "no scores", record)


def scored(table: str, key: str, symbols: np.ndarray, score: np.ndarray, few: str, record: Certificate) -> Scored:
    """A day's scores with their certificate; ``few`` is the reason if there are none."""
    here = np.isfinite(score)
    frame = pd.DataFrame({"symbol": pd.Series(symbols[here], dtype="str"), "score": score[here].astype(float)})
    if not len(frame):
        return Scored(table, key, frame, few)
    return Scored(table, key, frame, "", {"signal": table, "day": key, **record, "scores": of_scores(frame)})


def nothing(table: str, key: str, why: str) -> Scored:
    """A day without scores."""
    return scored(table, key, np.array([], object), np.array([]), why, {})


def _training(models: "Sequence[TrainedModel]") -> Certificate:
    """The training as recorded in the models' cards, for all seeds of a half-year."""
    from mg_models.checkpoint import card_id

    card = models[0].card
    ranges = {part: card["ranges"][part] for part in ("train", "valid")}
    return {
        "model": {
            "entry": models[0].spec.name,
            "half_year": models[0].retrain,
            "config": card["config_hash"],
            "seeds": {
                str(m.seed): {"card": card_id(m.card), "weights": m.card.get("weights_sha256", "")[:16]} for m in models
            },
        },
        "training": {
            "from": ranges["train"]["first"],
            "train_until": ranges["train"]["last"],
            "train_labels_known": ranges["train"].get("label_known", ""),
            "valid_from": ranges["valid"]["first"],
            "valid_until": ranges["valid"]["last"],
            "valid_labels_known": ranges["valid"].get("label_known", ""),
            "predicts_from": card["predicts_from"],
            "embargo": models[0].spec.horizon + 1,
            "fingerprints": {n: d[:16] for n, d in card.get("input_digests", {}).items()}
            | {"all": card["data_digest"][:16]},
        },
    }


def _inputs(
    spec: ModelSpec, records: dict[str, InputRecord], key: str, periods: dict[str, list[str]]
) -> dict[str, dict[str, Any]]:
    """The last day read and the fingerprint of each input, by the panel's name."""
    out = {}
    for i in spec.inputs:
        given = records[i.panel]
        entry: dict[str, Any] = {"table": tables_of_input(spec, i)[0].table, "last": given.last}
        bound = {"weekly": ("weekly_bars", week_of), "monthly": ("monthly_bars", month_of)}.get(i.panel)
        if bound is not None:
            table, start_of = bound
            over = [k for k in periods[table] if k < str(start_of(np.array([key], "datetime64[D]"))[0])]
            entry["completed"] = over[-1] if over and given.rows > 1 else ""
        out[i.panel] = {**entry, "rows": given.rows, "stocks": given.stocks, "fingerprint": given.fingerprint}
    return out


def _reads_periods(spec: ModelSpec) -> bool:
    return any(i.panel in ("weekly", "monthly") for i in spec.inputs)


@cache
def platform_mark() -> str:
    """Sixteen hex digits of numpy's version and the processor's kind, which may change an input's last bits."""
    import contextlib
    import io
    import platform

    with contextlib.redirect_stdout(io.StringIO()):
        found = np.show_config(mode="dicts") or {}
    extensions = found.get("SIMD Extensions", {}).get("found", [])
    return array_digest([], [np.__version__, platform.machine(), *extensions])


def _made(device: str) -> dict[str, str]:
    return {"device": device.partition(":")[0], "platform": platform_mark()}


def _icir(
    lake: Lake, spec: CombinationSpec, scores: np.ndarray, days: np.ndarray, symbols: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, list[dict[str, str]]]:
    """Weights ``(len(at), F)`` from weekly RankICs, each used from its exit day on; and the last one used."""
    bars = lake.panel("daily_bars", list(days), ICIR_PRICE, symbols, missing="empty")
    price = bars["vwap"] * bars["adj_factor"]
    gap = spec.horizon + 1
    forward = np.full(price.shape, np.nan)
    forward[:-gap] = price[gap:] / price[1 : -spec.horizon] - 1
    # weeks are counted from one day, so that a day's weights do not depend on the run's first day
    ordinal = np.searchsorted(trading_days(), np.append(days, WEEKS_FROM).astype("datetime64[D]"))
    ordinal = ordinal[:-1] - ordinal[-1]
    weekly = np.flatnonzero(ordinal % spec.horizon == 0)
    everyone = np.ones((len(weekly), len(symbols)), bool)
    rank_ic = np.stack(
        [rank_ic_by_day(scores[weekly, :, f], forward[weekly], everyone) for f in range(scores.shape[2])], axis=1
    )
    stamps = np.array(days, "datetime64[D]")
    available = np.full(len(weekly), np.datetime64("NaT"), "datetime64[D]")
    inside = weekly + gap < len(days)
    available[inside] = stamps[weekly[inside] + gap]
    weights = icir_weights(rank_ic, available, stamps[at], spec.window, spec.min_observations)
    last = []
    for day in stamps[at]:
        used = np.flatnonzero(available <= day)  # NaT is not
        last.append(
            {"last_week": str(stamps[weekly[used[-1]]]), "known": str(available[used[-1]])} if len(used) else {}
        )
    return weights, last
