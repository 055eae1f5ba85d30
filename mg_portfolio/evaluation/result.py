"""Evaluation result of one signal: daily correlations and portfolios, and the tables that are computed from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from mg_portfolio.evaluation.confidence_intervals import DRAWS, LEVEL, automatic_lags, bootstrap, newey_west
from mg_portfolio.evaluation.quantile_portfolios import SKIP_REASONS, Tracks
from mg_portfolio.evaluation.rebalance_days import track_schedule
from mg_portfolio.evaluation.track_metrics import Period, finite_means, long_short_nav, mean_metrics
from mg_portfolio.evaluation.track_metrics import track_metrics as metrics_of
from mg_portfolio.metrics import DAYS_PER_YEAR


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Evaluation of one signal, from `mg_portfolio.evaluation.evaluate.evaluate`; tables are computed on first access.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    every, delay, groups, direction, min_stocks : int
        See `mg_portfolio.evaluation.evaluate.evaluate`.
    tracks : tuple of int (T,)
        Starting offsets.
    daily : ndarray of float64 (D, 7)
        From `mg_portfolio.evaluation.rank_ic.daily_statistics`: stocks, RankIC, IC, weighted RankIC, weighted IC,
        precision of the top tenth and of the bottom tenth; NaN where a day has none. The properties
        of these names are its columns.
    portfolios : Tracks
        Daily NAVs, turnover and rebalances of every portfolio on every track.
    in_universe, with_signal : ndarray of int64 (D,)
        Stocks of the universe, and of those with a signal.
    """

    days: np.ndarray
    every: int
    delay: int
    groups: int
    direction: int
    min_stocks: int
    tracks: tuple[int, ...]
    daily: np.ndarray
    portfolios: Tracks
    in_universe: np.ndarray
    with_signal: np.ndarray

    @property
    def stocks(self) -> np.ndarray:
        """Stocks in each day's correlation, int ``(D,)``."""
        return self.daily[:, 0].astype(np.int64)

    @property
    def rank_ic(self) -> np.ndarray:
        """Spearman correlation of each day's signal with its forward return, ``(D,)``."""
        return self.daily[:, 1]

    @property
    def ic(self) -> np.ndarray:
        """Pearson correlation ``(D,)``."""
        return self.daily[:, 2]

    @property
    def weighted_rank_ic(self) -> np.ndarray:
        """Spearman correlation under weights that halve twice over the ranks, ``(D,)``."""
        return self.daily[:, 3]

    @property
    def weighted_ic(self) -> np.ndarray:
        """Pearson correlation under the same weights, ``(D,)``."""
        return self.daily[:, 4]

    @property
    def top_precision(self) -> np.ndarray:
        """Share of the top tenth whose return beats the median, ``(D,)``."""
        return self.daily[:, 5]

    @property
    def bottom_precision(self) -> np.ndarray:
        """Share of the bottom tenth whose return is below the median, ``(D,)``."""
        return self.daily[:, 6]

    @property
    def flat_days(self) -> int:
        """Days with enough stocks and no RankIC, because the signal or the returns do not vary."""
        return int(((self.daily[:, 0] >= self.min_stocks) & np.isnan(self.rank_ic)).sum())

    @cached_property
    def track_metrics(self) -> list[dict[str, float]]:
        """Metrics of each track, in the order of ``tracks``."""
        return [self._metrics(k, Period.whole(self.days)) for k in self._each_track]

    def period_metrics(self, first: np.datetime64, last: np.datetime64) -> list[dict[str, float]]:
        """Compute the metrics of each track from its first decision in a period on, in the order of ``tracks``.

        Parameters
        ----------
        first, last : datetime64[D]
            Days of decisions; a decision near the end counts with its return where the days go on.

        Returns
        -------
        list of dict of str to float
            As of a track that starts in the period; NaN where it has no decision in it.
        """
        periods = [Period.between(self.days, first, last, self._schedule(k), self.delay) for k in self._each_track]
        return [self._metrics(k, period) for k, period in enumerate(periods)]

    @property
    def _each_track(self) -> range:
        return range(len(self.tracks))

    def _schedule(self, k: int) -> np.ndarray:
        return track_schedule(len(self.days), self.every, self.tracks[k])

    @property
    def by_track(self) -> pd.DataFrame:
        """Metrics of each track: index track, columns the metrics."""
        return pd.DataFrame(self.track_metrics, pd.Index(self.tracks, name="track"))

    @cached_property
    def summary(self) -> dict[str, float]:
        """Metric (named as in the published tables) to its mean over tracks; fractions. NaN where not meaningful."""
        return mean_metrics(self.track_metrics)

    @cached_property
    def spread(self) -> pd.DataFrame:
        """Spread between the tracks: index metric, columns mean, std (over tracks), min, max."""
        table = self.by_track
        return pd.DataFrame(
            {"mean": table.mean(), "std": table.std(ddof=1), "min": table.min(), "max": table.max()}
        ).rename_axis("metric")

    @cached_property
    def year_metrics(self) -> dict[int, list[dict[str, float]]]:
        """Metrics of each calendar year, by track. Returns are the year's own, not annualised."""
        years = np.unique(self.days.astype("datetime64[Y]"))
        periods = {int(y.astype(int)) + 1970: Period.year(self.days, y) for y in years}
        return {y: [self._metrics(k, period) for k in self._each_track] for y, period in periods.items()}

    def metrics_within(self, first: np.datetime64, last: np.datetime64) -> list[dict[str, float]]:
        """Compute each track's metrics on some of its days, as of a year so far; returns are not annualised."""
        inside = (self.days >= first) & (self.days <= last)
        return [self._metrics(k, Period(inside, inside, annual=False)) for k in self._each_track]

    @property
    def by_year_and_track(self) -> pd.DataFrame:
        """Metrics of each calendar year and track: index year and track, columns the metrics."""
        rows = {(y, t): m for y, found in self.year_metrics.items() for t, m in zip(self.tracks, found, strict=True)}
        index = pd.MultiIndex.from_tuples(list(rows), names=["year", "track"])
        return pd.DataFrame(list(rows.values()), index)

    @property
    def by_year(self) -> pd.DataFrame:
        """Metrics of each calendar year, mean over tracks: index year, columns the metrics."""
        means = {year: mean_metrics(found) for year, found in self.year_metrics.items()}
        return pd.DataFrame.from_dict(means, orient="index").rename_axis("year")

    @cached_property
    def confidence(self) -> pd.DataFrame:
        """`confidence_table` with its defaults."""
        return self.confidence_table()

    @cached_property
    def exclusions(self) -> pd.DataFrame:
        """One row a skipped rebalance: date, track, in_universe, with_signal, with_price, reason."""
        return _skipped_rebalances(self.portfolios, self.days, self.tracks)

    @property
    def skipped(self) -> dict[str, int]:
        """Skipped rebalances by reason, over all tracks."""
        return {str(reason): int(count) for reason, count in self.exclusions["reason"].value_counts().items()}

    @property
    def excluded(self) -> dict[str, int]:
        """Stock-days of the universe that are in no correlation, by reason; with those counted they make all."""
        counted = self.stocks
        has_return = np.arange(len(self.days)) < len(self.days) - self.delay - self.every
        few = counted < self.min_stocks
        flat = ~few & np.isnan(self.rank_ic)
        return {
            "no signal": int((self.in_universe - self.with_signal).sum()),
            "return not known yet": int(self.with_signal[~has_return].sum()),
            "no execution price": int((self.with_signal - counted)[has_return].sum()),
            f"fewer than {self.min_stocks} stocks that day": int(counted[few].sum()),
            "flat that day": int(counted[flat].sum()),
        }

    def _metrics(self, k: int, period: Period) -> dict[str, float]:
        return metrics_of(self.daily, self.portfolios, k, self._schedule(k), self.days, self.every, period)

    def nav(self, name: str, net: bool = False) -> np.ndarray:
        """Daily NAV of a portfolio, mean over tracks.

        Parameters
        ----------
        name : str
            A portfolio's name: ``layer1`` .., ``top10pct``, ``bottom10pct``, ``top100`` or ``universe``.
        net : bool
            After costs.

        Returns
        -------
        ndarray of float (D,)
            NaN before the first track holds it.
        """
        p = self.portfolios.index(name)
        return finite_means((self.portfolios.net if net else self.portfolios.gross)[:, p])

    def relative_nav(self, name: str, net: bool = False) -> np.ndarray:
        """Daily NAV of a portfolio relative to the equal-weight universe, mean over tracks.

        Parameters
        ----------
        name : str
            As in `nav`.
        net : bool
            After costs.

        Returns
        -------
        ndarray of float (D,)
            NaN before the first track holds it.
        """
        return finite_means(self._relative(name, net))

    def excess(self, name: str, net: bool = False) -> np.ndarray:
        """Daily return of a portfolio relative to the universe, mean over the tracks that hold it.

        Parameters
        ----------
        name : str
            As in `nav`.
        net : bool
            After costs.

        Returns
        -------
        ndarray of float (D,)
            Fractions; NaN on a day that no track holds it.
        """
        relative = self._relative(name, net)
        out = np.full(len(self.days), np.nan)
        out[1:] = finite_means(relative[:, 1:] / relative[:, :-1] - 1.0)
        return out

    def _relative(self, name: str, net: bool) -> np.ndarray:
        p, u = self.portfolios.index(name), self.portfolios.index("universe")
        return (self.portfolios.net if net else self.portfolios.gross)[:, p] / self.portfolios.gross[:, u]

    @property
    def layer_nav(self) -> np.ndarray:
        """Relative NAV of the layers ``(G, D)``, the highest signal first, mean over tracks."""
        return np.stack([self.relative_nav(f"layer{g + 1}") for g in range(self.groups)])

    @property
    def long_short_nav(self) -> np.ndarray:
        """Top tenth minus bottom tenth, daily compounded ``(D,)``, mean over tracks."""
        return finite_means(np.stack([long_short_nav(self.portfolios, k) for k in range(len(self.tracks))]))

    @property
    def long_short_returns(self) -> np.ndarray:
        """Daily return ``(D,)`` of the top tenth less the bottom tenth's, mean over the tracks that hold them."""
        top, bottom = (self.portfolios.gross[:, self.portfolios.index(n)] for n in ("top10pct", "bottom10pct"))
        out = np.full(len(self.days), np.nan)
        out[1:] = finite_means(top[:, 1:] / top[:, :-1] - bottom[:, 1:] / bottom[:, :-1])
        return out

    def confidence_table(self, draws: int = DRAWS, level: float = LEVEL, seed: int = 0) -> pd.DataFrame:
        """Newey-West t-statistics and bootstrap intervals of the main figures.

        Parameters
        ----------
        draws, level, seed
            See `mg_portfolio.evaluation.confidence_intervals.bootstrap`.

        Returns
        -------
        DataFrame
            Index figure; columns estimate, t, low, high, lags, observations. Correlations are those of all days, with
            at least as many lags, and blocks twice as long, as their returns overlap. Annual figures are
            ``exp(252 * mean(ln(1 + r))) - 1`` of the tracks' mean daily return, t that of the mean itself. The ratio's
            t is NaN.
        """
        rows = {}
        for name, values in (("rank_ic_mean", self.rank_ic), ("ic_mean", self.ic)):
            rows[name] = _confidence_row(values, self.every, draws, level, seed)
        low, high = bootstrap(self.rank_ic, _block(self.rank_ic, self.every), draws, level, seed, ratio=True)
        finite = self.rank_ic[np.isfinite(self.rank_ic)]
        ratio = finite.mean() / finite.std(ddof=1) if len(finite) > 1 and finite.std() > 0 else np.nan
        rows["rank_ic_ir"] = {**rows["rank_ic_mean"], "estimate": ratio, "t": np.nan, "low": low, "high": high}
        series = {
            "top_excess_annual": self.excess("layer1"),
            "top10pct_excess_gross": self.excess("top10pct"),
            "top10pct_excess_net": self.excess("top10pct", net=True),
            "long_short_annual": self.long_short_returns,
        }
        for name, values in series.items():
            found = _confidence_row(np.log1p(values), 1, draws, level, seed)
            for column in ("estimate", "low", "high"):
                found[column] = float(np.expm1(DAYS_PER_YEAR * found[column]))
            rows[name] = found
        columns = ["estimate", "t", "low", "high", "lags", "observations"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("figure")
        return table.astype({"lags": int, "observations": int})


def _block(values: np.ndarray, overlap: int) -> float:
    return max(2.0 * overlap, float(np.isfinite(values).sum()) ** (1.0 / 3.0))


def _confidence_row(values: np.ndarray, overlap: int, draws: int, level: float, seed: int) -> dict[str, float]:
    """Mean, t-statistic and interval of a daily series whose entries overlap by ``overlap - 1`` days."""
    count = int(np.isfinite(values).sum())
    lags = automatic_lags(max(count, 1), overlap - 1)
    mean, t = newey_west(values, lags)
    low, high = bootstrap(values, _block(values, overlap), draws, level, seed)
    return {"estimate": mean, "t": t, "low": low, "high": high, "lags": lags, "observations": count}


def _skipped_rebalances(held: Tracks, days: np.ndarray, offsets: tuple[int, ...]) -> pd.DataFrame:
    rows: list[Mapping[str, object]] = [
        {
            "date": days[held.decided[k][r]],
            "track": offsets[k],
            "in_universe": int(held.stocks[k][r, 0]),
            "with_signal": int(held.stocks[k][r, 1]),
            "with_price": int(held.stocks[k][r, 2]),
            "reason": SKIP_REASONS[held.reason[k][r]],
        }
        for k in range(len(offsets))
        for r in np.flatnonzero(held.reason[k])
    ]
    columns = ["date", "track", "in_universe", "with_signal", "with_price", "reason"]
    return pd.DataFrame(rows, columns=columns).sort_values(["date", "track"], ignore_index=True)
