"""Random markets and weekly targets that the tests of the backtest share."""

import numpy as np

from mg_portfolio.backtest.market_panel import MarketPanel

NAMES = "days symbols trade_price close suspended limit_up limit_down listed amount adj_factor".split()


def changed(m: MarketPanel, **new) -> MarketPanel:
    return MarketPanel(**({name: getattr(m, name) for name in NAMES} | new))


def target(stocks: int, seed: int) -> np.ndarray:
    r = np.random.default_rng(seed)
    w = np.where(r.random(stocks) < 0.5, r.random(stocks), 0.0)
    return w / w.sum()


def weekly(m: MarketPanel, every: int = 5) -> dict[int, np.ndarray]:
    return {d: target(len(m.symbols), d) for d in range(0, len(m.days), every)}


def market(days: int = 60, stocks: int = 40, seed: int = 0, halts: float = 0.03, locks: float = 0.03) -> MarketPanel:
    r = np.random.default_rng(seed)
    close = 10 * np.exp(np.cumsum(0.02 * r.standard_normal((days, stocks)), axis=0))
    trade = close * np.exp(0.005 * r.standard_normal((days, stocks)))
    suspended = r.random((days, stocks)) < halts
    up = (r.random((days, stocks)) < locks) & ~suspended
    down = (r.random((days, stocks)) < locks) & ~suspended & ~up
    trade[suspended] = np.nan
    close[suspended] = np.nan
    close[0] = 10.0
    symbols = np.array([f"{600000 + i}.SH" for i in range(stocks)], dtype=object)
    return MarketPanel(np.datetime64("2020-01-01") + np.arange(days), symbols, trade, close, suspended, up, down)


def real_market(seed: int = 0, **kwargs) -> MarketPanel:
    """Random market with amounts and adjustment factors; a third of the codes are STAR's, some Beijing's."""
    m = market(seed=seed, **kwargs)
    r = np.random.default_rng(seed + 100)
    d, s = m.close.shape
    factor = np.cumprod(np.where(r.random((d, s)) < 0.02, 1 + 0.5 * r.random((d, s)), 1.0), axis=0) * 1.7
    board = r.choice(["6000", "6880", "8300"], s, p=[0.5, 0.3, 0.2])
    symbols = [f"{b}{i:02d}.{'BJ' if b == '8300' else 'SH'}" for i, b in enumerate(board)]
    return changed(
        m,
        symbols=np.array(symbols, dtype=object),
        amount=np.where(m.suspended, np.nan, r.lognormal(14, 1, (d, s))),
        adj_factor=factor,
    )


def check_account(r, m) -> None:
    """Value is holdings times prices plus cash, every day."""
    mark = m.mark[len(m.days) - len(r.days) :]
    np.testing.assert_allclose(r.nav, (r.units * mark).sum(axis=1) + r.cash, rtol=0, atol=1e-13)
    np.testing.assert_allclose(r.holdings.sum(axis=1) + r.cash / r.nav, 1.0, rtol=0, atol=1e-13)
    assert (r.cash >= -1e-12).all()
    assert (r.units >= 0).all()
