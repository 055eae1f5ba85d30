"""Inputs of portfolio decisions, read from the lake as dense arrays."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from mg_assets.factors.cross_section import FIVE_MAD, preprocess
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.store import Lake
from mg_assets.market.schema import INDICES
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.rebalance import DecisionPanel
from mg_portfolio.catalog import OTHER_STYLES, PortfolioSpec

REFERENCE = ("industry", "st", "float_shares", "pb")


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
        named = np.where(pd.isna(text), "unknown", text).astype(object)
        codes, names = pd.factorize(named.ravel(), sort=True)
        return codes.reshape(named.shape).astype(np.int32), dict(enumerate(map(str, names)))

    @cached_property
    def buyable(self) -> np.ndarray:
        """Stocks that are listed and not under special treatment, ``(D, S)``."""
        return self._reference.present & ~self._reference["st"]

    def index(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weights, NaN where missing, and membership of an index, ``(D, S)``."""
        return self._reference[f"{name}_weight"], self._reference[f"{name}_member"]

    def raw_style(self, name: str) -> np.ndarray:
        """Exposure before it is standardised, ``(D, S)``; NaN where the source lacks an input."""
        if name in OTHER_STYLES:
            return self._common[name]
        with np.errstate(divide="ignore", invalid="ignore"):
            if name == "valuation":
                return np.where(self._reference["pb"] != 0.0, 1.0 / self._reference["pb"], np.nan)  # book to price
            close = self.lake.panel("daily_bars", self.keys, ["close"], self.symbols)["close"]
            return np.log(self._reference["float_shares"] * close)

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
        weights, member = self.index(spec.index)
        codes, names = self.industry
        wanted = tuple(dict.fromkeys((*spec.styles, *extra_styles)))
        styles = style_exposures({n: self.raw_style(n) for n in wanted}, np.isfinite(score))
        for name in spec.style_limits:  # a limit on an exposure without data never binds
            styles.setdefault(name, np.zeros(score.shape))
        return DecisionPanel(self.market, score, weights, member, codes, names, styles, self.buyable)

    def unknown_styles(self, spec: PortfolioSpec) -> list[str]:
        """Styles that the portfolio limits and the source has no data of."""
        return [name for name in spec.styles if not np.isfinite(self.raw_style(name)).any()]


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
