"""Numbers and names of the weekly report in one language."""

import math

from markupsafe import Markup, escape

from mg_portfolio.optimization.shadow_prices import STEPS
from mg_portfolio.report.templates import source_name
from mg_portfolio.report.weekly.inputs import Training, WeeklyReport
from mg_portfolio.report.weekly.names import name_of, portfolio_name
from mg_portfolio.report.weekly.tables import PERIODS, ComparedValue, PlaceboRow, PortfolioRow, Won
from mg_portfolio.report.weekly.texts import TEXTS, period_names

_RATIOS = {"rank_ic_ir", "top_information_ratio"}
_CAPTIONS = ("long_short", "drawdown", "portfolio", "benchmark", "relative", "industry", "style", "overweight",
             "underweight", "weekdays", "spread", "placebos", "placebo_mean")  # fmt: skip
RED, GREEN = "#c0392b", "#1e8449"


class Formatter:
    """Formats numbers and names in one language."""

    def __init__(self, lang: str, report: WeeklyReport) -> None:
        self.lang, self.texts = lang, TEXTS[lang]
        self.periods = period_names(lang, report.as_of.year, report.as_of.month)
        self._labels = {factor.name: factor.label for factor in report.factors}
        self.chart = {key: self.texts[f"chart_{key}"] for key in _CAPTIONS}
        gains_red = (report.gains or ("red" if lang == "zh" else "green")) == "red"
        self.gain, self.loss = (RED, GREEN) if gains_red else (GREEN, RED)

    def name(self, subject: str) -> str:
        """Name of a factor or model, as people read it."""
        return name_of(subject, self.lang, self._labels.get(subject))

    def source(self, name: str) -> str:
        """Name of the data source."""
        return source_name(name, self.lang)

    def portfolio(self, row: PortfolioRow) -> str:
        """Name of a portfolio, with its index."""
        return portfolio_name(row.name, row.index, self.lang)

    def pct(self, value: float | None, digits: int = 2) -> str:
        """A fraction as per cent; words where it is unknown (None) or NaN."""
        if value is None:
            return self.texts["unknown"]
        # A rounded zero has no sign
        return self.texts["no_data"] if math.isnan(value) else f"{100 * value:.{digits}f}%".replace("-0.00%", "0.00%")

    def signed(self, cell: ComparedValue) -> Markup:
        """The number, coloured by its sign, with the published one beside it."""
        if cell.missing:
            text = Markup('<span class="none">{}</span>').format(self.texts["no_data"])
        else:
            side = "up" if cell.value > 0 else "down" if cell.value < 0 else "flat"
            mark = "" if cell.complete else "*"
            text = Markup('<span class="{}">{}{}</span>').format(side, self.pct(cell.value), mark)
        return text + self._beside(None if cell.published is None else self.pct(cell.published))

    def won(self, won: Won) -> Markup:
        """Periods won of all, with the published count beside it."""
        beside = None if won.published is None else f"{won.published[0]}/{won.published[1]}"
        return escape(f"{won.won}/{won.total}") + self._beside(beside)

    def metric(self, name: str, cell: ComparedValue, spread: float | None = None) -> Markup:
        """A figure of table 3, its spread over the starting days, and the published one."""

        def write(value: float) -> str:
            return f"{value:.2f}" if name in _RATIOS else self.pct(value)

        text = self.texts["no_data"] if cell.missing else write(cell.value)
        over = Markup("") if spread is None else Markup('<small class="spread">± {}</small>').format(write(spread))
        return escape(text) + over + self._beside(None if cell.published is None else write(cell.published))

    def figure(self, number: int | None, key: str, name: str) -> str:
        """Caption of a figure, with the monitor's number where it has one."""
        text = self.texts[key].format(name=name)
        return text if number is None else self.texts["figure"].format(number=number, text=text)

    def trained(self, one: Training) -> str:
        """Half-year, seeds and validation RankIC of a training."""
        low, high = (f"{value:.3f}" for value in (min(one.best.values()), max(one.best.values())))
        values = low if len(one.best) == 1 else self.texts["between"].format(low=low, high=high)
        return self.texts["trained"].format(
            model=self.name(one.model), half=one.half_year, count=len(one.best), values=values
        )

    def placebos(self, row: PlaceboRow) -> list[str]:
        """Cells of a portfolio's line beside its placebos."""
        period = self.texts["whole_period"] if row.period == "whole" else row.period
        low, high = self.pct(row.low), self.pct(row.high)
        between = "–" if math.isnan(row.low) else self.texts["between"].format(low=low, high=high)
        values = (self.pct(value) for value in (row.excess, row.mean, row.over))
        return [period, *values, between, f"{row.rank}/{row.placebos + 1}", str(row.weeks)]

    def step(self, limit: str) -> str:
        """A usual move of a limit, with its unit."""
        kind = limit.partition("[")[0]
        return self.amount(limit, STEPS[kind])

    def amount(self, limit: str, value: float) -> str:
        """An amount of a limit: standard deviations of a style, else of weight."""
        if limit.startswith("style["):
            return self.texts["sigma"].format(value=f"{value:.2g}")
        return self.texts["of_weight"].format(value=f"{100 * value:.2g}%")

    def _beside(self, text: str | None) -> Markup:
        if text is None:
            return Markup("")
        return Markup('<small class="pub" title="{0}">{0} {1}</small>').format(self.texts["published"], text)

    def bullet(self, cells: dict[str, ComparedValue], key: str = "bullet") -> Markup:
        """A sentence of a period's figures, coloured by their signs."""
        parts = {
            period: Markup('<b class="{}">{}</b>').format(
                "none" if cells[period].missing else "up" if cells[period].value > 0 else "down",
                self.pct(cells[period].value),
            )
            for period in PERIODS
        }
        names = {f"{period}_name": self.periods[period] for period in ("month", "year")}
        return Markup(self.texts[key]).format(**parts, **names)
