"""What portfolios decide on, read from the lake as dense arrays."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from mg_assets.factors.cross_section import preprocess
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.store import Lake
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.rebalance import DecisionPanel
from mg_portfolio.catalog import OTHER_STYLES, PortfolioSpec

INDICES = ("csi300", "csi500", "csi1000")


def panel_of(market: MarketData) -> MarketPanel:
    """The market as the backtest reads it: trades at vwap, valued at the close."""
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
    )


class Closes:
    """All that portfolios may know at each close of some days, read once for every portfolio.

    Parameters
    ----------
    lake : Lake
    keys : sequence of str
        Trading days, ascending; each must have bars and reference data.
    also : iterable of str
        Stocks to carry besides those with bars or reference data: what is held and has left the exchange.
    """

    def __init__(self, lake: Lake, keys: Sequence[str], also: Iterable[str] = ()) -> None:
        self.lake, self.keys = lake, list(keys)
        known = (lake.panel(table, self.keys, []).symbols for table in ("daily_bars", "reference"))
        self.symbols = np.array(sorted(set(also).union(*known)), dtype=object)
        self.market = panel_of(market_data(lake, self.keys, self.symbols))
        wanted = ["industry", "st", "float_shares", "pb"]
        wanted += [f"{name}_{part}" for name in INDICES for part in ("member", "weight")]
        self._facts = lake.panel("reference", self.keys, wanted, self.symbols)

    @cached_property
    def industry(self) -> tuple[np.ndarray, dict[int, str]]:
        """Codes ``(D, S)`` in the order of the names, and the names."""
        text = self._facts["industry"]
        named = np.where(pd.isna(text), "unknown", text).astype(object)
        codes, names = pd.factorize(named.ravel(), sort=True)
        return codes.reshape(named.shape).astype(np.int32), dict(enumerate(map(str, names)))

    @cached_property
    def buyable(self) -> np.ndarray:
        """Stocks that are listed and not under special treatment, ``(D, S)``."""
        return self._facts.present & ~self._facts["st"]

    def index(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weights, NaN where unknown, and membership of an index, ``(D, S)``."""
        return self._facts[f"{name}_weight"], self._facts[f"{name}_member"]

    def raw_style(self, name: str) -> np.ndarray:
        """Exposure before it is standardised, ``(D, S)``; NaN where the source lacks an input."""
        if name in OTHER_STYLES:
            return self._common[name]
        with np.errstate(divide="ignore", invalid="ignore"):
            if name == "valuation":
                return np.where(self._facts["pb"] != 0.0, 1.0 / self._facts["pb"], np.nan)  # book to price
            close = self.lake.panel("daily_bars", self.keys, ["close"], self.symbols)["close"]
            return np.log(self._facts["float_shares"] * close)

    @cached_property
    def _common(self) -> dict[str, np.ndarray]:
        return self.lake.panel("common_factors", self.keys, OTHER_STYLES, self.symbols, missing="empty").values

    def decisions(self, spec: PortfolioSpec, signal: str, extra_styles: Sequence[str] = ()) -> DecisionPanel:
        """One portfolio's panel.

        Parameters
        ----------
        spec : PortfolioSpec
        signal : str
            Table of the signal; a day without it has no score.
        extra_styles : sequence of str
            Styles to carry along besides those that the portfolio limits.
        """
        score = self.lake.panel(signal, self.keys, ["score"], self.symbols, missing="empty")["score"]
        weights, member = self.index(spec.index)
        codes, names = self.industry
        wanted = tuple(dict.fromkeys((*spec.styles, *extra_styles)))
        styles = style_scores({n: self.raw_style(n) for n in wanted}, np.isfinite(score))
        for name in spec.style_limits:  # a limit on what nobody knows binds nobody
            styles.setdefault(name, np.zeros(score.shape))
        return DecisionPanel(self.market, score, weights, member, codes, names, styles, self.buyable)

    def unknown_styles(self, spec: PortfolioSpec) -> list[str]:
        """Styles that the portfolio limits and the source knows nothing of."""
        return [name for name in spec.styles if not np.isfinite(self.raw_style(name)).any()]


def style_scores(raw: Mapping[str, np.ndarray], universe: np.ndarray) -> dict[str, np.ndarray]:
    """Exposures winsorised and z-scored over each day's universe ``(D, S)``; 0 for what is unknown.

    A style that is unknown for every stock of every day is left out.
    """
    out = {}
    for name, values in raw.items():
        known = np.isfinite(values) & universe
        if known.any():
            scores = [preprocess(r[:, None], None, None, k)[:, 0] for r, k in zip(values, known, strict=True)]
            out[name] = np.nan_to_num(np.stack(scores))
    return out
