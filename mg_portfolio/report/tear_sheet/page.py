"""The tear sheet of one factor or signal: its evaluation as tables and one self-contained HTML page.

1. :func:`tear_sheet` evaluates (`mg_portfolio.evaluation.evaluate`, `ic_decay`).
2. :class:`TearSheet` has the tables, writes the page in English or Chinese, and shows itself in a notebook.

Nothing is fetched when the page is opened: charts are inline SVG, styles are in the file.
"""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from mg_axes import DAYS, FLAGS, PANEL, aligned
from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.evaluation import decay_chart, turnover_chart, years_chart
from mg_portfolio.charts.figures import ic_chart, layers_chart, long_short_chart
from mg_portfolio.charts.style import svg
from mg_portfolio.evaluation.evaluate import evaluate, ic_decay
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS
from mg_portfolio.evaluation.result import Evaluation
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.report.tear_sheet.texts import FIGURES, REASONS, TEXTS, YEAR_COLUMNS
from mg_portfolio.report.templates import template

LAGS = tuple(range(1, 21))


@dataclass(frozen=True, eq=False)
class TearSheet:
    """Evaluation of one factor, with its tables and its page.

    Attributes
    ----------
    name : str
        Of the factor.
    evaluation : Evaluation
        Every figure; see :func:`mg_portfolio.evaluate`.
    decay : Series
        Mean RankIC with the return of the single day ``lag`` days after the purchase, by lag.
    cost : float
        Two-sided cost of the net figures, a fraction of the value traded.
    """

    name: str
    evaluation: Evaluation
    decay: pd.Series
    cost: float

    @cached_property
    def figures(self) -> pd.Series:
        """The main figures by their published names, mean over tracks; fractions."""
        return pd.Series({name: self.evaluation.summary[name] for name, _ in FIGURES})

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Return and excess a year of each layer, the highest signal first, then of the universe; fractions."""
        found = self.evaluation
        names = [f"layer{g + 1}" for g in range(found.groups)]
        rows = {
            name: (_annual(found.nav(name)), _annual(found.relative_nav(name)), _annual(found.relative_nav(name, True)))
            for name in (*names, "universe")
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["annual", "excess", "excess_net"])
        table.loc["universe", ["excess", "excess_net"]] = np.nan
        return table.rename_axis("portfolio")

    @cached_property
    def years(self) -> pd.DataFrame:
        """The main figures of each calendar year, mean over tracks; returns are the year's own, not annualised."""
        return self.evaluation.by_year[[name for name, _ in YEAR_COLUMNS]]

    @cached_property
    def turnover(self) -> pd.Series:
        """Two-way turnover of the top layer at each rebalance, by date and track."""
        held, found = self.evaluation.portfolios, self.evaluation
        parts = {
            track: pd.Series(held.turnover[k][:, 0], pd.DatetimeIndex(found.days[held.decided[k]]))
            for k, track in enumerate(found.tracks)
        }
        return pd.concat(parts, names=["track", "date"]).swaplevel().sort_index()

    def html(self, language: str = "en") -> str:
        """Write the page.

        Parameters
        ----------
        language : {"en", "zh"}

        Returns
        -------
        str
            An HTML document that needs no other file.

        Raises
        ------
        EvaluationError
            Another language.
        """
        if language not in TEXTS:
            raise EvaluationError(f"language was {language!r}, expected one of {', '.join(TEXTS)}")
        text, found = TEXTS[language], self.evaluation
        column = 0 if language == "en" else 1
        figure_names = {name: names[column] for name, names in FIGURES}
        confidence = found.confidence.loc["rank_ic_mean"]
        values = {
            "days": len(found.days), "every": found.every, "delay": found.delay, "groups": found.groups,
            "tracks": len(found.tracks), "cost": f"{100 * self.cost:.2g}%", "min_stocks": found.min_stocks,
            "stocks": f"{np.mean(found.with_signal):,.0f}", "universe": f"{np.mean(found.in_universe):,.0f}",
            "t": f"{confidence['t']:.2f}", "low": f"{confidence['low']:.4f}", "high": f"{confidence['high']:.4f}",
            "skipped": int(sum(found.skipped.values())),
        }  # fmt: skip
        return template("tear_sheet/page.html").render(
            t={key: value.format(**values) for key, value in text.items()},
            name=self.name,
            span=(found.days[0], found.days[-1]),
            reversed=found.direction == -1,
            figures=[(label, _figure(name, self.figures[name])) for name, label in figure_names.items()],
            layers=[
                (_portfolio(name, text), *(_percent(value) for value in row))
                for name, row in zip(self.layers.index, self.layers.to_numpy(), strict=True)
            ],
            years=[
                (year, *(_figure(name, value) for name, value in row.items())) for year, row in self.years.iterrows()
            ],
            year_heads=[names[column] for _, names in YEAR_COLUMNS],
            excluded=[(_reason(reason, language), f"{count:,}") for reason, count in found.excluded.items() if count],
            charts=self._charts(text),
        )

    def _charts(self, text: dict[str, str]) -> dict[str, Markup]:
        found = self.evaluation
        names = {key.removeprefix("chart_"): value for key, value in text.items() if key.startswith("chart_")}
        turnover = self.turnover.reset_index(level="track", drop=True)
        drawn = {
            "rank_ic": ic_chart(found.days, found.rank_ic, labels=names),
            "layers": layers_chart(found.days, found.layer_nav, [_portfolio(n, text) for n in self.layers.index[:-1]]),
            "long_short": long_short_chart(found.days, found.long_short_returns, labels=names, width=7.2),
            "decay": decay_chart(self.decay.to_numpy(), names),
            "turnover": turnover_chart(turnover.index.to_numpy(), turnover.to_numpy(), names),
            "years": years_chart(found.by_year_and_track, names),
        }
        return {key: Markup(svg(figure, f"{self.name}: {names[key]}")) for key, figure in drawn.items()}

    def save(self, path: str | Path, language: str = "en") -> Path:
        """Write the page to a file.

        Parameters
        ----------
        path : str or Path
            ``factor.html``.
        language : {"en", "zh"}

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        EvaluationError
            The file cannot be written.
        """
        target, page = Path(path), self.html(language)
        try:
            target.write_text(page, encoding="utf-8")
        except OSError as error:
            raise EvaluationError(
                f"{target} cannot be written ({error.strerror}): give a file in a folder that is there"
            ) from error
        return target

    def _repr_html_(self) -> str:
        page = html.escape(self.html(), quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 900px; border: 1px solid #dfe4e9"></iframe>'


@aligned(EvaluationError, by=("price",), signal=PANEL, price=PANEL, tradable=FLAGS, days=DAYS)
def tear_sheet(
    signal: np.ndarray,
    price: np.ndarray,
    tradable: np.ndarray | None = None,
    days: np.ndarray | None = None,
    name: str = "factor",
    direction: int = 1,
    every: int = 5,
    groups: int = 10,
    tracks: int | Iterable[int] | None = None,
    delay: int = 1,
    cost: float = 0.003,
    min_stocks: int = MIN_STOCKS,
) -> TearSheet:
    """Evaluate one factor, with its tables and a self-contained page.

    Parameters
    ----------
    signal, price, tradable, days
        See :func:`mg_portfolio.evaluate`; labelled panels (pandas, Polars, Arrow, xarray; :mod:`mg_axes`) are aligned
        on the dates and symbols of ``price``.
    name : str
        Of the factor, for the page.
    direction, every, groups, tracks, delay, cost, min_stocks
        See :func:`mg_portfolio.evaluate`.

    Returns
    -------
    TearSheet
        ``save("factor.html")`` writes the page; a notebook shows it.

    Raises
    ------
    EvaluationError
        As :func:`mg_portfolio.evaluate`, and where no day has enough stocks.
    """
    found = evaluate(signal, price, tradable, days, direction, every, groups, tracks, delay, cost, min_stocks)
    if not np.isfinite(found.rank_ic).any():
        raise EvaluationError(
            f"{name}: no day has {min_stocks} stocks with a signal and a return {every} days after the purchase: "
            f"{', '.join(f'{reason} {count:,}' for reason, count in found.excluded.items() if count)} stock-days"
        )
    universe = np.isfinite(signal) if tradable is None else tradable
    decay = ic_decay(signal * direction, price, universe, LAGS, delay, min_stocks)
    return TearSheet(name, found, pd.Series(decay, name="rank_ic").rename_axis("lag"), cost)


def _annual(nav: np.ndarray) -> float:
    """Return a year of a NAV, from its first value on."""
    held = nav[np.isfinite(nav)]
    return float((held[-1] / held[0]) ** (DAYS_PER_YEAR / (len(held) - 1)) - 1.0) if len(held) > 1 else np.nan


def _portfolio(name: str, text: dict[str, str]) -> str:
    return text["universe_name"] if name == "universe" else text["layer"].replace("#", name.removeprefix("layer"))


def _reason(reason: str, language: str) -> str:
    known = next((key for key in REASONS if reason.startswith(key)), None)
    return reason if language == "en" or known is None else REASONS[known]


def _figure(name: str, value: float) -> str:
    if not np.isfinite(value):
        return "–"
    if name.startswith(("rank_ic_mean", "rank_ic_std", "ic_mean")):
        return f"{value:.4f}"
    ratio = name.endswith(("_ir", "icir", "sharpe", "information_ratio", "icir_annual"))
    return f"{value:.2f}" if ratio else _percent(value)


def _percent(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{100 * value:.1f}%"
