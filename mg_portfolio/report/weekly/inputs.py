"""Inputs of the weekly report: plain arrays and mappings; nothing here reads a lake or a file."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mg_portfolio.arguments import EvaluationError

HANDMADE = (
    "intraday_skew",
    "down_vol_perc",
    "open_buy_intent_share",
    "open_buy_intent_strength",
    "open_big_net_buy_share",
    "open_big_net_buy_strength",
    "improved_reversal",
    "tail_volume_share",
    "down_single_amt_perc",
    "bigorder_ret",
)
DEEP = (
    "gru_50_1_nn10",
    "gru_50_2_nn10",
    "attention_gru_50_2_nn10",
    "residual_attention_lstm_48_2_nn10",
    "multi_granularity_5d",
    "multi_granularity_10d",
)
FULL_BAND = ("hf_gru", "lf_multitask", "fused")
EXPECTED = (*HANDMADE, *DEEP, *FULL_BAND)
EXPECTED_PORTFOLIOS = {"csi500_ai": "CSI 500", "csi1000_ai": "CSI 1000"}
GAINS = ("", "red", "green")
SEVERITIES = ("error", "warn", "pass")


@dataclass(frozen=True)
class Training:
    """The last training of a model behind a factor.

    Attributes
    ----------
    model : str
    half_year : str
        ``2023H1``.
    best : mapping of seed to float
        Validation RankIC of the check whose weights were kept.
    """

    model: str
    half_year: str
    best: Mapping[int, float]


@dataclass(frozen=True)
class FactorSeries:
    """Daily returns of one factor's top tenth.

    Attributes
    ----------
    name : str
        As in the registry or the model catalog.
    days : ndarray of datetime64[D] (D,)
    long_short, long_excess : ndarray of float (D,)
        Fractions, from `mg_portfolio.evaluation.evaluate.long_short`; NaN where there is none.
    rebalance : {"monthly", "weekly"}
    relative : ndarray of float (D,)
        The top tenth's return relative to the bottom tenth's, whose compounded line is the relative strength; where
        empty, ``long_short`` is compounded in its place.
    rank_ic : ndarray of float (D,)
        RankIC of each day with the next week's return; may be empty.
    trained : tuple of Training
        Of the models behind it.
    label : mapping of language to str
        Display names of a factor that the report's texts do not have.
    absent : str, mapping of language to str, or None
        Why there are no returns; the arrays are then empty.
    """

    name: str
    days: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[D]"))
    long_short: np.ndarray = field(default_factory=lambda: np.array([]))
    long_excess: np.ndarray = field(default_factory=lambda: np.array([]))
    rebalance: str = "weekly"
    relative: np.ndarray = field(default_factory=lambda: np.array([]))
    rank_ic: np.ndarray = field(default_factory=lambda: np.array([]))
    trained: tuple[Training, ...] = ()
    label: Mapping[str, str] = field(default_factory=dict)
    absent: str | Mapping[str, str] | None = None

    def __post_init__(self):
        if not len(self.days) == len(self.long_short) == len(self.long_excess):
            raise EvaluationError(
                f"factor {self.name}: {len(self.days)} days, {len(self.long_short)} long-short and "
                f"{len(self.long_excess)} long-excess returns, expected as many of each"
            )
        for what, values in (("relative returns", self.relative), ("RankICs", self.rank_ic)):
            if len(values) not in (0, len(self.days)):
                raise EvaluationError(
                    f"factor {self.name}: {len(values)} {what} of {len(self.days)} days, expected one a day or none"
                )
        if self.absent is None and not (np.isfinite(self.long_short).any() and np.isfinite(self.long_excess).any()):
            raise EvaluationError(f"factor {self.name} has no finite return; give the reason in absent=")
        if self.rebalance not in ("monthly", "weekly"):
            raise EvaluationError(
                f"factor {self.name}: rebalance was {self.rebalance!r}, expected 'monthly' or 'weekly'"
            )


@dataclass(frozen=True)
class NoTrade:
    """What the cost in a portfolio's objective kept from trading at the last rebalance.

    Attributes
    ----------
    cost : float
        Of a trade, a side, fraction.
    held : int
        Stocks held before.
    inside : int or None
        Those that were not traded although their limits allow it; None where the cost was not used.
    days : float or None
        Trading days over which a trade earns its cost; None before enough decisions have complete returns.
    """

    cost: float
    held: int
    inside: int | None = None
    days: float | None = None


@dataclass(frozen=True)
class PortfolioSeries:
    """One enhanced portfolio: its NAV and the state of its last rebalance.

    Attributes
    ----------
    name : str
        As in the portfolio catalog.
    index : str
        ``"CSI 500"`` or ``"CSI 1000"``.
    days : ndarray of datetime64[D] (D,)
    nav, benchmark_nav : ndarray of float (D,)
        Net of costs; any base.
    rebalance_date : datetime.date or None
    weights, benchmark_weights : mapping of symbol to float
        After the last rebalance.
    stock_names : mapping of symbol to str
    industry : mapping of industry to float
        Weight minus benchmark weight.
    styles : mapping of style to float
        Exposure minus the benchmark's, standard deviations; ``size`` is one of them.
    industry_limit : float or None
    style_limits : mapping of style to float
    turnover_planned, turnover_realised : float or None
        Two-way, of the last rebalance.
    turnover_mean : float or None
        Two-way per rebalance, over the whole period.
    binding : mapping of constraint to float
        Score that a usual step of the limit alone would earn, as ``gained`` of
        :func:`~mg_portfolio.optimization.sensitivity.shadow_price_table`.
    return_per_score : float or None
        Return to the next rebalance per unit of score, which turns it into basis points a year.
    every : int
        Trading days between rebalances.
    relaxed : mapping of constraint to float
        By how much a constraint was relaxed.
    unknown_inputs : mapping of constraint to (int, int)
        Stocks whose input of it is not known, so that it does not hold them, and out of how many.
    index_weights : (str, int) or None
        Date of the index's weights at the last rebalance, and their age in trading days; None where unknown.
    equal_members : bool
        Whether the benchmark is the equal-weighted members, in place of the index's weights.
    untraded : mapping of reason to int
        Orders that could not trade.
    weekdays : mapping of weekday to ndarray of float (D,)
        Relative NAV of the same portfolio decided on ``mon`` .. ``fri``; NaN before all are invested.
    placebos : ndarray of float (N, D)
        Relative NAV of N random signals under the same limits and costs; NaN after the last day that is stored, and
        empty where there are none.
    no_trade : NoTrade or None
        None without a cost in the objective.
    forecast_error : float or None
        Tracking error a year that the risk model forecast at the last rebalance; None without one.
    absent : str or None
        Why there is no portfolio.
    """

    name: str
    index: str
    days: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[D]"))
    nav: np.ndarray = field(default_factory=lambda: np.array([]))
    benchmark_nav: np.ndarray = field(default_factory=lambda: np.array([]))
    rebalance_date: datetime.date | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    benchmark_weights: Mapping[str, float] = field(default_factory=dict)
    stock_names: Mapping[str, str] = field(default_factory=dict)
    industry: Mapping[str, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)
    industry_limit: float | None = None
    style_limits: Mapping[str, float] = field(default_factory=dict)
    turnover_planned: float | None = None
    turnover_realised: float | None = None
    turnover_mean: float | None = None
    binding: Mapping[str, float] = field(default_factory=dict)
    return_per_score: float | None = None
    every: int = 5
    relaxed: Mapping[str, float] = field(default_factory=dict)
    unknown_inputs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    index_weights: tuple[str, int] | None = None
    equal_members: bool = False
    untraded: Mapping[str, int] = field(default_factory=dict)
    weekdays: Mapping[str, np.ndarray] = field(default_factory=dict)
    placebos: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    no_trade: NoTrade | None = None
    forecast_error: float | None = None
    absent: str | Mapping[str, str] | None = None

    def __post_init__(self):
        if not len(self.days) == len(self.nav) == len(self.benchmark_nav):
            raise EvaluationError(
                f"portfolio {self.name}: {len(self.days)} days, {len(self.nav)} NAVs and {len(self.benchmark_nav)} "
                "benchmark NAVs, expected as many of each"
            )
        uneven = [f"{day} has {len(path)}" for day, path in self.weekdays.items() if len(path) != len(self.days)]
        if uneven:
            raise EvaluationError(f"portfolio {self.name}: of {len(self.days)} days the path of {uneven[0]}")
        if len(self.placebos) and self.placebos.shape[1] != len(self.days):
            raise EvaluationError(
                f"portfolio {self.name}: {self.placebos.shape[1]} values of each placebo on {len(self.days)} days, "
                "expected as many"
            )
        if self.absent is None:
            if len(self.days) < 2:
                raise EvaluationError(
                    f"portfolio {self.name} has {len(self.days)} days of NAV; give the reason in absent="
                )
            for what, values in (("NAV", self.nav), ("benchmark NAV", self.benchmark_nav)):
                wrong = np.flatnonzero(~(np.asarray(values, float) > 0))
                if wrong.size:
                    day, value = self.days[wrong[0]], values[wrong[0]]
                    raise EvaluationError(f"portfolio {self.name}: {what} of {day} was {value}, expected above 0")

    @property
    def excess_returns(self) -> np.ndarray:
        """Daily return relative to the benchmark ``(D,)``: ``(1 + r) / (1 + b) - 1``; NaN on the first day."""
        relative = np.asarray(self.nav, float) / np.asarray(self.benchmark_nav, float)
        out = np.full(len(relative), np.nan)
        out[1:] = relative[1:] / relative[:-1] - 1.0
        return out

    def active_weights(self) -> list[tuple[str, float]]:
        """Symbol and weight minus benchmark weight, the largest overweight first, ties by symbol."""
        symbols = sorted(set(self.weights) | set(self.benchmark_weights))
        active = [(s, self.weights.get(s, 0.0) - self.benchmark_weights.get(s, 0.0)) for s in symbols]
        return sorted(active, key=lambda pair: -pair[1])


@dataclass(frozen=True)
class QualityRow:
    """A data check to show: one that did not pass, or another.

    Attributes
    ----------
    table, check : str
    severity : {"error", "warn", "pass"}
    detail : str
        What was found.
    day : datetime.date or None
    description : str
        What the check expects, in English.
    detail_zh, description_zh : str
        Both in Chinese; as the others where empty.
    """

    table: str
    check: str
    severity: str
    detail: str = ""
    day: datetime.date | None = None
    description: str = ""
    detail_zh: str = ""
    description_zh: str = ""

    def texts(self, lang: str) -> tuple[str, str]:
        """Detail and description in a language."""
        if lang != "zh":
            return self.detail, self.description
        return self.detail_zh or self.detail, self.description_zh or self.description

    def __post_init__(self):
        if self.severity not in SEVERITIES:
            raise EvaluationError(f"check {self.check}: severity was {self.severity!r}, expected one of {SEVERITIES}")


@dataclass(frozen=True)
class EvaluationRow:
    """Metrics of one signal over one period, from `mg_portfolio.evaluation.evaluate.evaluate`.

    Attributes
    ----------
    subject : str
    period : str
        ``"2017-01-04/2023-11-30"``; a published number is shown beside ours only where its period is the same.
    metrics : mapping of metric to float
    spread : mapping of metric to float
        Standard deviation over the days of the week on which the rebalances begin.
    """

    subject: str
    period: str
    metrics: Mapping[str, float]
    spread: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class WeeklyReport:
    """Contents of one weekly report.

    Attributes
    ----------
    as_of : datetime.date
        The week's last trading day.
    source : str
        Data source.
    factors : tuple of FactorSeries
        Those of `EXPECTED` that are not here are reported as absent.
    portfolios : tuple of PortfolioSeries
    quality : tuple of QualityRow
    checks_run : int or None
        Checks of the week, passed or not; None where none is recorded.
    days_late : mapping of table to int
        Trading days by which a table's newest partition lags.
    stocks_missing : mapping of table to int
        Stocks that the reference lists and the table lacks.
    evaluations : tuple of EvaluationRow
    notice : mapping of language to str
        A line under the title, such as that the data are simulated.
    gains : {"", "red", "green"}
        Colour of gains, losses have the other; empty: red in Chinese, green in English.
    generated : datetime.datetime or None
    """

    as_of: datetime.date
    source: str
    factors: tuple[FactorSeries, ...] = ()
    portfolios: tuple[PortfolioSeries, ...] = ()
    quality: tuple[QualityRow, ...] = ()
    checks_run: int | None = None
    days_late: Mapping[str, int] = field(default_factory=dict)
    stocks_missing: Mapping[str, int] = field(default_factory=dict)
    evaluations: tuple[EvaluationRow, ...] = ()
    notice: Mapping[str, str] = field(default_factory=dict)
    gains: str = ""
    generated: datetime.datetime | None = None

    def __post_init__(self):
        if self.gains not in GAINS:
            raise EvaluationError(f"gains was {self.gains!r}, expected one of {GAINS}")
        for what, names in (
            ("factor", [f.name for f in self.factors]),
            ("portfolio", [p.name for p in self.portfolios]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise EvaluationError(f"{what} {twice[0]} is given twice")
