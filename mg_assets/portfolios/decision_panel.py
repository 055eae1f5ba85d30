"""Inputs of portfolio decisions, read from the lake as dense arrays."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.factors.cross_section import FIVE_MAD, preprocess
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import shift, trading_days
from mg_assets.market.schema import INDICES
from mg_assets.sources.base import INDEX_WEIGHTS_OF
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.rebalance import DecisionPanel
from mg_portfolio.catalog import OTHER_STYLES, PortfolioSpec

REFERENCE = ("industry", "st", "float_shares", "pb")
UNKNOWN = "unknown"
MONTH = 21  # sessions of the mean value traded
ENOUGH = 13  # of them, with trades: 60%, as of the common factors

Unknown = dict[str, dict[str, int]]


def panel_of(market: MarketData) -> MarketPanel:
    """Market data of the backtest: trades at vwap, valued at the close."""
    return MarketPanel(
        market.days,
        market.symbols,
        market.vwap,
        market.close,
        market.suspended,
        market.up_locked,
        market.down_locked,
        market.listed,
        market.amount,
        market.adj_factor,
        market.absent,
    )


class DecisionData:
    """Point-in-time data at the close of each day, read once for all portfolios.

    Parameters
    ----------
    lake : Lake
    keys : sequence of str
        Trading days, ascending; each must have bars and reference data.
    also : iterable of str
        Further stocks besides those with bars or reference data: holdings that were delisted.
    """

    def __init__(self, lake: Lake, keys: Sequence[str], also: Iterable[str] = ()) -> None:
        self.lake, self.keys = lake, list(keys)
        self._raw: dict[str, np.ndarray] = {}
        listed = (lake.panel(table, self.keys, []).symbols for table in ("daily_bars", "reference"))
        self.symbols = np.array(sorted(set(also).union(*listed)), dtype=object)
        self.market = panel_of(market_data(lake, self.keys, self.symbols))
        wanted = [*REFERENCE]
        wanted += [f"{name}_{part}" for name in INDICES for part in ("member", "weight")]
        self._reference = lake.panel("reference", self.keys, wanted, self.symbols)

    @cached_property
    def industry(self) -> tuple[np.ndarray, dict[int, str]]:
        """Codes ``(D, S)`` in the order of the names, and the names."""
        text = self._reference["industry"]
        named = np.where(pd.isna(text), UNKNOWN, text).astype(object)
        codes, names = pd.factorize(named.ravel(), sort=True)
        return codes.reshape(named.shape).astype(np.int32), dict(enumerate(map(str, names)))

    @cached_property
    def buyable(self) -> np.ndarray:
        """Stocks that are listed and not under special treatment, ``(D, S)``."""
        return self._reference.present & ~self._reference["st"]

    def index(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weights, NaN where missing, and membership of an index, ``(D, S)``."""
        return self._reference[f"{name}_weight"], self._reference[f"{name}_member"]

    def benchmark(self, spec: PortfolioSpec) -> tuple[np.ndarray, np.ndarray]:
        """What a portfolio's benchmark holds, NaN where missing, and membership of its index, ``(D, S)``."""
        weights, member = self.index(spec.index)
        if spec.benchmark_from == "index_weights":
            return weights, member
        count = member.sum(axis=1, keepdims=True)
        return np.divide(member, count, out=np.full(member.shape, np.nan), where=count > 0), member

    def raw_style(self, name: str) -> np.ndarray:
        """Exposure before it is standardised.

        Parameters
        ----------
        name : str
            A style, or what the size is measured by (:meth:`PortfolioSpec.measure_of`).

        Returns
        -------
        ndarray of float64 (D, S)
            NaN where the source lacks an input.
        """
        if name in OTHER_STYLES:
            return self._common[name]
        if name not in self._raw:
            with np.errstate(divide="ignore", invalid="ignore"):
                self._raw[name] = self._made(name)
        return self._raw[name]

    def _made(self, name: str) -> np.ndarray:
        if name == "valuation":
            return np.where(self._reference["pb"] != 0.0, 1.0 / self._reference["pb"], np.nan)  # book to price
        if name == "traded_value":
            return np.log(self._mean_traded())
        close = self.lake.panel("daily_bars", self.keys, ["close"], self.symbols)["close"]
        if name == "float_value":
            return np.log(self._reference["float_shares"] * close)
        return np.log(self.lake.panel("reference", self.keys, ["total_shares"], self.symbols)["total_shares"] * close)

    def _mean_traded(self) -> np.ndarray:
        """Mean value traded of the last sessions up to each day, ``(D, S)``, each day summed by itself."""
        days = [str(d) for d in trading_days(shift(self.keys[0], 1 - MONTH), self.keys[-1])]
        bars = self.lake.panel("daily_bars", days, ["amount", "vwap", "volume"], self.symbols, missing="empty")
        traded = np.where(bars["amount"] > 0, bars["amount"], bars["vwap"] * bars["volume"])
        known = np.isfinite(traded) & (traded > 0)
        traded = np.where(known, traded, 0.0)
        ends = np.searchsorted(np.array(days), self.keys) + 1
        spans = [slice(end - MONTH, end) for end in ends]
        count = np.stack([known[span].sum(axis=0) for span in spans])
        total = np.stack([traded[span].sum(axis=0) for span in spans])
        return np.where(count >= ENOUGH, total / count, np.nan)

    @cached_property
    def _common(self) -> dict[str, np.ndarray]:
        return self.lake.panel("common_factors", self.keys, OTHER_STYLES, self.symbols, missing="empty").values

    def decisions(self, spec: PortfolioSpec, signal: str, extra_styles: Sequence[str] = ()) -> DecisionPanel:
        """The inputs of one portfolio's decisions.

        Parameters
        ----------
        spec : PortfolioSpec
        signal : str
            Table of the signal; a day without it has no score.
        extra_styles : sequence of str
            Further styles besides those that the portfolio limits.

        Returns
        -------
        DecisionPanel
        """
        score = self.lake.panel(signal, self.keys, ["score"], self.symbols, missing="empty")["score"]
        weights, member = self.benchmark(spec)
        codes, names = self.industry
        wanted = tuple(dict.fromkeys((*spec.styles, *extra_styles)))
        styles = style_exposures({n: self.raw_style(spec.measure_of(n)) for n in wanted}, np.isfinite(score))
        for name in spec.style_limits:  # a limit on an exposure without data never binds
            styles.setdefault(name, np.zeros(score.shape))
        return DecisionPanel(self.market, score, weights, member, codes, names, styles, self.buyable)

    def unknown_inputs(self, spec: PortfolioSpec, day: int, kept: np.ndarray | None, score: np.ndarray) -> Unknown:
        """Limits of a portfolio whose input is not known of some stocks: without it they are not held.

        Parameters
        ----------
        spec : PortfolioSpec
        day : int
            Position of the day of a decision.
        kept : ndarray of int, optional
            Positions of the decision's stocks; all by default.
        score : ndarray of float (S,)
            Its signal; exposures are standardised over the stocks that have one.

        Returns
        -------
        dict of str to dict of str to int
            By limit, named as in the solution, and ``st`` for the rule that no such stock is bought: ``stocks`` that
            lack the input, out of how many (``of``). Without the limits whose input is known of every stock.
        """
        kept = np.arange(len(score)) if kept is None else kept
        scored = np.isfinite(score[kept])
        known = {
            f"style[{n}]": np.isfinite(self.raw_style(spec.measure_of(n))[day, kept]) & scored for n in spec.styles
        }
        if spec.industry_limit is not None:
            codes, names = self.industry
            known["industry"] = ~np.isin(codes[day, kept], [c for c, name in names.items() if name == UNKNOWN])
        member = self.index(spec.index)[1][day, kept]
        if spec.member_floor is not None and not member.any():
            known["members"] = member
        if "st" in self._said(day, "absent_columns"):
            known["st"] = np.zeros(len(kept), bool)
        return {n: {"stocks": int(np.sum(~k)), "of": len(k)} for n, k in known.items() if not k.all()}

    def index_weights(self, index: str, day: int) -> dict[str, str | int]:
        """Date that an index's weights of a day were published for, and their age in trading days.

        Returns
        -------
        dict of str to str or int
            ``of`` and ``age``; empty where the source does not say.
        """
        of = dict(self._said(day, INDEX_WEIGHTS_OF)).get(index)
        return {} if of is None else {"of": of, "age": len(trading_days(shift(of, 1), self.keys[day]))}

    def _said(self, day: int, note: str) -> Any:
        """What the reference's source said of a day; empty where it said nothing."""
        return self.lake.metadata("reference", self.keys[day]).get(note) or ()


def void_limits(unknown: Unknown) -> list[str]:
    """Limits whose input is known of no stock at all, of :meth:`DecisionData.unknown_inputs`."""
    return [name for name, found in unknown.items() if found["stocks"] == found["of"]]


def style_exposures(raw: Mapping[str, np.ndarray], universe: np.ndarray) -> dict[str, np.ndarray]:
    """Exposures winsorised at five MAD and z-scored over each day's universe; 0 where missing.

    Parameters
    ----------
    raw : mapping of str to ndarray of float (D, S)
        Exposures by style; NaN where missing.
    universe : ndarray of bool (D, S)

    Returns
    -------
    dict of str to ndarray of float64 (D, S)
        Without the styles that are missing for every stock of every day.
    """
    out = {}
    for name, values in raw.items():
        present = np.isfinite(values) & universe
        if present.any():
            each = zip(values, present, strict=True)
            scores = [preprocess(r[:, None], None, None, k, mads=FIVE_MAD)[:, 0] for r, k in each]
            out[name] = np.nan_to_num(np.stack(scores))
    return out
