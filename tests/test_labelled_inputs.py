"""No public function ignores an index: labelled inputs in any order give what bare arrays give, or are refused."""

import dataclasses
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mg_assets
import mg_models
import mg_portfolio as mp
from mg_assets import factors as mf
from mg_portfolio.charts import figures
from mg_portfolio.evaluation import evaluate as ev
from mg_portfolio.evaluation import quantile_portfolios, signal_correlation, universes

D, S, F = 90, 40, 3
RNG = np.random.default_rng(5)
DAYS = np.array(pd.bdate_range("2023-01-02", periods=D), dtype="datetime64[D]")
SYMBOLS = np.array(sorted(f"{600000 + 7 * i}.SH" for i in range(S)), dtype=object)
NAMES = ("beta", "size", "turn")


def panel(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, pd.DatetimeIndex(DAYS), SYMBOLS)


def stocks(values: Any) -> pd.Series:
    return pd.Series(values, SYMBOLS)


PRICE = panel(10.0 * np.exp(np.cumsum(0.02 * RNG.standard_normal((D, S)), axis=0)))
SIGNAL = panel(RNG.standard_normal((D, S)) + 30 * (PRICE.shift(-6) / PRICE.shift(-1) - 1).fillna(0.0).to_numpy())
OTHER = panel(RNG.standard_normal((D, S)))
YES = panel(RNG.random((D, S)) > 0.1)
NO = panel(np.zeros((D, S), dtype=bool))
INDUSTRY = stocks(np.arange(S) % 4)
CUBE = np.stack([RNG.standard_normal((D, S)) for _ in range(F)], axis=-1)
NAV = PRICE.mean(axis=1)
SPEC = dataclasses.replace(mp.PORTFOLIOS["csi500_turnover30"], style_limits={}, industry_limit=0.05)
WEIGHT = stocks(np.full(S, 1.0 / S))
BARS = {"open": PRICE * 0.99, "high": PRICE * 1.02, "low": PRICE * 0.98, "close": PRICE, "volume": PRICE * 0 + 1e5,
        "adj_factor": PRICE * 0 + 1.0, "float_shares": PRICE * 0 + 1e7}  # fmt: skip


class Bare:
    """Arrays in the order of the days and the sorted symbols."""

    labels = False

    def __call__(self, frame: pd.DataFrame | pd.Series) -> Any:
        return np.ascontiguousarray(frame.to_numpy())

    def cube(self, values: np.ndarray) -> Any:
        return values

    def dates(self, days: np.ndarray) -> Any:
        return days


class Mixed(Bare):
    """The same values under their labels, in another order of rows and columns."""

    labels = True

    def __call__(self, frame: pd.DataFrame | pd.Series) -> Any:
        out = frame.sample(frac=1, random_state=1)
        return out.sample(frac=1, axis=1, random_state=2) if isinstance(out, pd.DataFrame) else out

    def cube(self, values: np.ndarray) -> Any:
        index = pd.MultiIndex.from_product([pd.DatetimeIndex(DAYS), SYMBOLS], names=["datetime", "instrument"])
        return pd.DataFrame(values.reshape(-1, F), index, list(NAMES)).swaplevel().sample(frac=1, random_state=3)

    def dates(self, days: np.ndarray) -> Any:
        return None


def market(on: Bare) -> mp.MarketPanel:
    flags = {"suspended": on(NO), "limit_up": on(NO), "limit_down": on(NO)}
    return mp.MarketPanel(DAYS, SYMBOLS, on(PRICE), on(PRICE), **flags)


def problem(on: Bare) -> mp.EnhancementProblem:
    return mp.EnhancementProblem(
        score=on(SIGNAL.iloc[3]), benchmark=on(WEIGHT), holdings=on(WEIGHT), industry=on(INDUSTRY), stock_limit=0.02,
        industry_limit=0.01, turnover_limit=0.2, suspended=on(NO.iloc[0]),
    )  # fmt: skip


def built(on: Bare) -> mp.EnhancementProblem:
    return mp.build_problem(SPEC, on(SIGNAL.iloc[3]), on(WEIGHT), on(WEIGHT), on(INDUSTRY))


def decision_panel(on: Bare) -> mp.DecisionPanel:
    members = {"member": on(YES), "industry": on(OTHER * 0 + 1) if on.labels else np.ones((D, S), int)}
    names = {"industry_names": {1: "all"}, "styles": {}, "buyable": on(YES)}
    return mp.DecisionPanel(market(on), on(SIGNAL), on(PRICE * 0 + 1.0 / S), **members, **names)


def training(on: Bare) -> mg_models.TrainingPlan:
    spec = mg_models.override(mg_models.get("hf_gru"), steps=3, every=1, min_train_days=5, min_valid_days=2)
    return mg_models.plan_training(spec, {"hf": feature_panel(on)}, on(OTHER), None, ["2023H2"], [0])


def feature_panel(on: Bare) -> mg_models.Panel:
    return mg_models.Panel(DAYS, SYMBOLS, on.cube(CUBE), NAMES)


def bars(on: Bare) -> Any:
    fields = np.stack([BARS[c].to_numpy() for c in ("open", "high", "low", "close", "close", "volume")], axis=-1)
    if not on.labels:
        return fields
    index = pd.MultiIndex.from_product([pd.DatetimeIndex(DAYS), SYMBOLS])
    names = ["open", "high", "low", "close", "vwap", "volume"]
    return pd.DataFrame(fields.reshape(-1, 6), index, names)[names[::-1]].sample(frac=1, random_state=4)


def arrays_of(found: Any) -> list[np.ndarray]:
    """The numbers of a result, by date and symbol."""
    if isinstance(found, pd.DataFrame | pd.Series):
        found = found.sort_index()
        return [(found.sort_index(axis=1) if found.ndim == 2 else found).to_numpy()]
    if isinstance(found, dict):
        return [x for value in found.values() for x in arrays_of(value)]
    if isinstance(found, list | tuple):
        return [x for value in found for x in arrays_of(value)]
    return [np.asarray(found)]


DAILY = lambda on: mf.DailySeries({name: on(frame) for name, frame in BARS.items()})  # noqa: E731
WEEK = np.array([(d - (d.astype(int) + 3) % 7) for d in DAYS])
CASES: dict[str, Callable[[Bare], Any]] = {
    "mg_portfolio.evaluate": lambda on: vars(mp.evaluate(on(SIGNAL), on(PRICE), on(YES), on.dates(DAYS)))["daily"],
    "mg_portfolio.tear_sheet": lambda on: mp.tear_sheet(on(SIGNAL), on(PRICE), days=on.dates(DAYS)).figures.to_numpy(),
    "mg_portfolio.evaluate_all": lambda on: mp.evaluate_all(
        {"a": on(SIGNAL), "b": on(OTHER)}, mp.ForwardReturns.from_prices(on(PRICE), on(YES), on.dates(DAYS))
    )["b"].daily,
    "mg_portfolio.ForwardReturns": lambda on: mp.ForwardReturns.from_prices(on(PRICE), on(YES), on.dates(DAYS)).returns,
    "mg_portfolio.EnhancementProblem": lambda on: mp.optimize(problem(on)).weights,
    "mg_portfolio.build_problem": lambda on: mp.optimize(built(on)).weights,
    "mg_portfolio.return_per_score": lambda on: mp.return_per_score(on(SIGNAL), on(OTHER)),
    "mg_portfolio.MarketPanel": lambda on: market(on).trade_price,
    "mg_portfolio.DecisionPanel": lambda on: [
        d.target for d in mp.rebalance(decision_panel(on), SPEC, [10])
    ],
    "mg_portfolio.simulate": lambda on: mp.simulate(
        market(on), {5: on(WEIGHT)}, on(WEIGHT), benchmark=on(NAV.pct_change().fillna(0.0))
    ).relative_nav,
    "mg_portfolio.attribute": lambda on: vars(
        mp.attribute(
            mp.simulate(market(on), {0: on(WEIGHT)}, benchmark={0: on(WEIGHT)}), market(on), {0: on(WEIGHT)},
            on(INDUSTRY), {"size": on(OTHER)}, on(PRICE),
        )
    )["factors"],
    "mg_portfolio.performance_metrics": lambda on: mp.performance_metrics(on(NAV), on(NAV**1.1), on.dates(DAYS)),
    "mg_portfolio.metrics_by_year": lambda on: mp.metrics_by_year(on(NAV), on(NAV**1.1), on.dates(DAYS)),
    "mg_models.Panel": lambda on: feature_panel(on).values,
    "mg_models.PeriodPanel": lambda on: mg_models.PeriodPanel(
        DAYS, SYMBOLS, CUBE[:9], on.cube(CUBE), on(pd.Series(np.arange(D) // 10, DAYS)), NAMES
    ).to_date,
    "mg_models.plan_training": lambda on: training(on).labels,
    "mg_models.equal_weight": lambda on: mg_models.equal_weight(on.cube(CUBE), on(pd.Series([1.0, -1.0, 1.0], NAMES))),
    "mg_models.icir_weights": lambda on: mg_models.icir_weights(
        on(pd.DataFrame(CUBE[:, 0], DAYS, NAMES)[list(NAMES)]), on(pd.Series(DAYS, DAYS)), DAYS[60:]
    ),
    "mg_models.icir_weight": lambda on: mg_models.icir_weight(on.cube(CUBE), on(pd.DataFrame(CUBE[:, 0], DAYS, NAMES))),
    "mg_models.fuse": lambda on: mg_models.fuse([(on(SIGNAL), 1), (on(OTHER), 3)]),
    "mg_models.bar_inputs": lambda on: mg_models.bar_inputs(
        DAYS, SYMBOLS, bars(on), *mg_models.completed_bars(bars(Bare()), WEEK),
        *mg_models.completed_bars(bars(Bare()), DAYS.astype("datetime64[M]").astype("datetime64[D]")),
    )["daily"].values,
    "mg_models.price_volume_panel": lambda on: mg_models.price_volume_panel(
        DAYS, SYMBOLS, bars(on), np.arange(80, D)
    ).values,
    "mg_assets.DailySeries": lambda on: DAILY(on).returns,
    "mg_assets.daily_factors": lambda on: mf.daily_factors(DAILY(on), 5).reshape(-1)
    if not on.labels
    else mf.daily_factors(DAILY(on), 5).to_numpy().reshape(-1),
    "mg_assets.common_factors": lambda on: np.asarray(mf.common_factors(DAILY(on), 5)).reshape(-1),
    "mg_assets.labels": lambda on: np.asarray(mf.labels(on(PRICE), on(YES), (5, 10), on(OTHER > 2))).reshape(-1),
    "mg_assets.preprocess": lambda on: mf.preprocess(
        on(pd.DataFrame(CUBE[0], SYMBOLS, NAMES)), on(INDUSTRY), on(OTHER.iloc[0]), on(YES.iloc[0])
    ),
    "mg_assets.trailing_mean": lambda on: mf.trailing_mean(on(PRICE)),
    "mg_assets.qlib_prediction": lambda on: mg_assets.qlib_prediction(on(SIGNAL) if on.labels else SIGNAL),
    # not exported by the packages themselves
    "ic_decay": lambda on: ev.ic_decay(on(SIGNAL), on(PRICE), on(YES), (1, 2)),
    "long_short": lambda on: ev.long_short(on(SIGNAL), on(PRICE), on(YES), on.dates(DAYS), min_stocks=5).long_short,
    "orthogonalize": lambda on: ev.orthogonalize(on(SIGNAL), on.cube(CUBE), on(YES), on(INDUSTRY)),
    "rank_rows": lambda on: ev.rank_rows(on(SIGNAL), on(YES)),
    "rank_ic_by_day": lambda on: ev.rank_ic_by_day(on(SIGNAL), on(OTHER), on(YES)),
    "forward_returns": lambda on: ev.forward_returns(on(PRICE), 5),
    "signal_correlations": lambda on: ev.signal_correlations({"a": on(SIGNAL), "b": on(OTHER)}, on(YES)),
    "tradable_next_day": lambda on: ev.tradable_next_day(on(OTHER * 0 + 90), on(NO), on(~YES), on(NO)),
    "days_listed": lambda on: ev.days_listed(DAYS, on(stocks(np.resize(DAYS[:7], S)))),
    "eligible_entry": lambda on: mf.eligible_entry(on(NO), on(NO), *(on(BARS["close"]) for _ in range(6))),
    "mad_winsorise": lambda on: mf.mad_winsorise(on(OTHER.iloc[0]), on(YES.iloc[0])),
    "ic_chart": lambda on: [bar.get_height() for bar in figures.ic_chart(DAYS, on(SIGNAL.iloc[:, 0])).axes[0].patches],
    "max_drawdown": lambda on: mp.metrics.max_drawdown(on(NAV)),
}  # fmt: skip

REFUSED: dict[str, Callable[[Bare], Any]] = {
    "mg_models.completed_bars": lambda on: mg_models.completed_bars(bars(on), WEEK),
    "mg_models.price_volume_features": lambda on: mg_models.price_volume_features(bars(on), np.arange(3)),
    "simulate_tracks": lambda on: quantile_portfolios.simulate_tracks(on(SIGNAL), on(PRICE), on(YES), [YES.iloc[:, 0]]),
    "correlation_sums": lambda on: signal_correlation.correlation_sums([on(SIGNAL)], YES.to_numpy()),
    "layers_chart": lambda on: figures.layers_chart(DAYS, on(PRICE.T)),
    "top_by_amount": lambda on: universes.top_by_amount(on(PRICE), on(YES)),
    "granular_features": lambda on: mf.granular_features(
        np.zeros((S, 10, 240)), on(OTHER.iloc[0]), on(OTHER.iloc[0]), on(OTHER.iloc[0])
    ),
    "mg_portfolio.risk_model": lambda on: mp.risk_model(on(PRICE), on(INDUSTRY)),
    "mg_portfolio.bar_styles": lambda on: mp.bar_styles(on(PRICE), on(OTHER)),
    "mg_portfolio.bias_statistics": lambda on: mp.bias_statistics(on(PRICE), on(OTHER)),
    "period_to_date": lambda on: mf.period_to_date(*(on(PRICE) for _ in range(6)), np.arange(D)),
}

# These take no values of days and stocks: objects that were aligned, results, days, or tables that name their columns.
OF_ALIGNED = {
    "mg_portfolio": "compare diagnose optimize shadow_price_table rebalance simulate_decisions simulate_weekday_paths "
    "weekday_sensitivity on_axis TearSheet BacktestAttribution BacktestResult Evaluation EnhancementSolution Decision "
    "PortfolioPath WeekdaySensitivity Comparison Execution weekday_decisions RiskModel BiasStatistics",
    "mg_models": "predict predict_signals train train_many estimate Split TrainingPlan save",
    "mg_assets": "DayPass day_pass explain replay_day what_if bars_from_trades daily_from_minutes minute_factors "
    "trade_factors order_factors monitor_factors intraday_factors save_qlib_prediction",
    "mg_axes": "Axes Layout align aligned as_days bare is_labelled labelled_result",
}


def takes_arrays(thing: Any) -> bool:
    """Whether an exported function or class takes arrays or frames, by its annotations."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return False
    return any(
        "ndarray" in str(p.annotation) or "DataFrame" in str(p.annotation) for p in signature.parameters.values()
    )


@pytest.mark.parametrize("package", ["mg_assets", "mg_models", "mg_portfolio"])
def test_every_export_that_takes_arrays_is_tried(package):
    module = importlib.import_module(package)
    found = {name for name in module.__all__ if callable(getattr(module, name)) and takes_arrays(getattr(module, name))}
    tried = {name.partition(".")[2] for name in (*CASES, *REFUSED) if name.startswith(f"{package}.")}
    assert found - tried - set(OF_ALIGNED[package].split()) == set()


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_labels_changes_nothing(name):
    bare, mixed = (arrays_of(CASES[name](on)) for on in (Bare(), Mixed()))
    assert len(bare) == len(mixed)
    for a, b in zip(bare, mixed, strict=True):
        np.testing.assert_allclose(a.reshape(b.shape), b, rtol=1e-12)  # sums over features run in their order
    assert any(np.isfinite(a.astype(float)).any() for a in bare)


@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_are_not_aligned_are_refused(name):
    with pytest.raises(ValueError, match=r"has labels, which are not aligned here") as raised:
        REFUSED[name](Mixed())
    assert "\n" not in str(raised.value)


def test_reversed_columns_give_the_same_rank_ic():
    """Once -0.009 where 1.000 is right: the values were taken by their position."""
    forward = PRICE.shift(-6) / PRICE.shift(-1) - 1
    found = mp.evaluate(forward.iloc[:, ::-1], PRICE)
    assert found.summary["rank_ic_mean"] == pytest.approx(1.0)
    np.testing.assert_array_equal(found.days, DAYS)


@pytest.mark.parametrize("where", ["index", "columns", "level"])
def test_dates_as_floats_are_dates(where):
    """20240304.0: what numbers become beside a gap; a column of them was read, labels were not."""
    numbers = [float(str(day).replace("-", "")) for day in DAYS]
    signal = SIGNAL.set_axis(numbers, axis=0)
    given = {"index": signal, "columns": signal.T, "level": signal.stack()}[where]
    np.testing.assert_array_equal(mp.evaluate(given, PRICE).rank_ic, mp.evaluate(SIGNAL, PRICE).rank_ic)


@pytest.mark.parametrize("kind", ["complex128", "timedelta64[ns]"])
def test_values_that_are_no_real_numbers_are_refused(kind):
    values = SIGNAL.fillna(0.0).astype(kind)
    with pytest.raises(mp.EvaluationError, match="signal had values that are no numbers, in the column"):
        mp.evaluate(values, PRICE)


def test_a_page_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(mp.EvaluationError, match=r"page.html cannot be written \(No such file or directory\): give"):
        mp.tear_sheet(SIGNAL, PRICE).save(tmp_path / "absent" / "page.html")


def test_a_bare_array_beside_a_frame_is_refused():
    with pytest.raises(mp.EvaluationError, match="price is a bare array, signal has labels"):
        mp.evaluate(SIGNAL, PRICE.to_numpy(), YES.to_numpy(), DAYS)
    with pytest.raises(mp.EvaluationError, match=r"signal a has labels, the forward returns have no symbols"):
        mp.evaluate_all({"a": SIGNAL}, mp.ForwardReturns.from_prices(PRICE.to_numpy(), YES.to_numpy(), DAYS))


def test_partial_overlap_is_missing_or_named():
    some = SIGNAL.iloc[20:, 5:].reset_index(names="date").melt("date", var_name="symbol", value_name="factor")
    found = mp.evaluate(some, PRICE)
    assert found.with_signal[:20].sum() == 0
    assert found.with_signal[20] == S - 5
    with pytest.raises(mp.EvaluationError, match=r"signal has 5 symbols that are not in price, the first 600000.SH"):
        mp.evaluate(SIGNAL, PRICE.iloc[:, 5:])
    with pytest.raises(
        mp.BacktestError, match=r"target decided on .* has 1 symbols that are not in symbols, the first X"
    ):
        mp.simulate(market(Mixed()), {0: pd.Series({"X": 1.0})})
