"""The planted signal predicts as promised at strength 1, and nothing predicts at strength 0."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from mg_assets.sources.simulated import SimulationSettings, daily_market, plan_day
from mg_assets.sources.simulated.daily_returns import masked_zscore

HORIZON = 5


def rank_ics(signal, price, usable, every=1):
    """Spearman of the signal at T with price T+1 -> T+6, one value a day."""
    out = []
    for d in range(30, len(signal) - HORIZON - 1, every):
        forward = price[d + 1 + HORIZON] / price[d + 1] - 1
        ok = usable[d] & np.isfinite(forward) & np.isfinite(signal[d])
        out.append(np.corrcoef(rankdata(signal[d, ok]), rankdata(forward[ok]))[0, 1])
    return np.array(out)


def prices(market):
    trading = market.listed & ~market.suspended
    close = market.close * market.adj_factor
    return trading, close, np.where(trading, market.vwap, np.nan) * market.adj_factor


def universe(market):
    age = np.cumsum(market.listed, axis=0) + np.where(market.list_date < market.days[0], 100, 0)
    usable = market.listed & ~market.st & (age > 63)
    usable[:-1] &= ~market.suspended[1:] & ~(market.ticks("vwap")[1:] >= market.ticks("up_limit")[1:])
    return usable


@pytest.fixture(scope="module")
def strong():
    return daily_market(SimulationSettings(stocks=300, end="2019-12-31"))


@pytest.fixture(scope="module")
def null():
    return daily_market(SimulationSettings(stocks=300, end="2019-12-31", alpha_strength=0.0))


@pytest.mark.parametrize("kind", ["close", "vwap"])
def test_planted_rank_ic_is_in_its_band(strong, kind):
    _, close, vwap = prices(strong)
    ics = rank_ics(strong.signal, close if kind == "close" else vwap, universe(strong), every=2)
    assert 0.12 <= ics.mean() <= 0.15


@pytest.mark.slow
@pytest.mark.parametrize(("stocks", "seed"), [(200, 3), (500, 4), (1000, 5)])
def test_planted_rank_ic_is_in_its_band_for_other_markets(stocks, seed):
    market = daily_market(SimulationSettings(stocks=stocks, seed=seed))
    _, close, vwap = prices(market)
    for price in (close, vwap):
        assert 0.12 <= rank_ics(market.signal, price, universe(market), every=5).mean() <= 0.15


def test_rank_ic_grows_with_strength():
    market = daily_market(SimulationSettings(stocks=300, end="2015-12-31", alpha_strength=0.5))
    _, close, _ = prices(market)
    assert 0.045 < rank_ics(market.signal, close, universe(market)).mean() < 0.09


def factors(market):
    trading = market.listed & ~market.suspended
    with np.errstate(invalid="ignore", divide="ignore"):
        ret = np.where(trading, np.log(market.close / market.prev_close), np.nan)
        turnover = np.log(np.where(trading, market.volume, np.nan) / market.float_shares)

    def rolling(x, n):
        return pd.DataFrame(x).rolling(n, min_periods=n // 2)

    return {
        "planted": market.signal.astype(float),
        "reversal_5": -rolling(ret, 5).sum().to_numpy(),
        "reversal_20": -rolling(ret, 20).sum().to_numpy(),
        "low_volatility": -rolling(ret, 20).std().to_numpy(),
        "low_turnover": -(turnover - rolling(turnover, 60).mean().to_numpy()),
        "bp": 1 / market.fundamentals["pb"].astype(float),
    }


def test_nothing_predicts_at_strength_zero(null):
    _, _, vwap = prices(null)
    usable = universe(null)
    for name, values in factors(null).items():
        ics = rank_ics(values, vwap, usable, every=HORIZON)
        error = ics.std() / np.sqrt(len(ics))
        assert abs(ics.mean()) < 3.5 * error, f"{name}: mean RankIC {ics.mean():.4f}, standard error {error:.4f}"
    assert abs(rank_ics(null.signal, vwap, usable, every=HORIZON).mean()) < 0.012


def test_no_alpha_reaches_the_plan_at_strength_zero(null):
    assert (plan_day(null, "2015-03-02").alpha == 0).all()


def test_part_of_the_signal_shows_in_daily_bars(strong):
    _, _, vwap = prices(strong)
    usable = universe(strong)
    for name, values in factors(strong).items():
        if name not in ("planted", "bp"):
            ics = rank_ics(values, vwap, usable, every=HORIZON)
            assert ics.mean() > 2 * ics.std() / np.sqrt(len(ics)), name
    seen = factors(strong)
    blend = sum(
        standardise_rows(seen[k], usable) * w
        for k, w in {"reversal_5": 1.0, "low_volatility": 0.7, "low_turnover": 1.0}.items()
    )
    assert rank_ics(blend, vwap, usable, every=HORIZON).mean() > 0.025


def standardise_rows(x, usable):
    return np.stack([masked_zscore(r, u & np.isfinite(r), 3.0) for r, u in zip(x, usable, strict=True)])


def test_signal_is_a_z_score_with_a_half_life_of_eight_days(strong):
    signal = np.where(strong.listed, strong.signal, np.nan).astype(float)
    np.testing.assert_allclose(np.nanmean(signal, axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(signal, axis=1), 1, atol=1e-6)

    def echo(lag):
        a, b = signal[:-lag], signal[lag:]
        ok = np.isfinite(a) & np.isfinite(b)
        return np.corrcoef(a[ok], b[ok])[0, 1]

    assert echo(8) == pytest.approx(0.5, abs=0.03)
    assert echo(1) == pytest.approx(0.5 ** (1 / 8), abs=0.01)


def test_innovations_lean_against_the_days_return_and_volume(strong):
    trading, _, _ = prices(strong)
    rho = 0.5 ** (1 / 8)
    innovation = strong.signal[1:] - rho * strong.signal[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        ret = np.where(trading, np.log(strong.close / strong.prev_close), np.nan)[1:]
        turnover = np.log(np.where(trading, strong.volume, np.nan) / strong.float_shares)
    fresh = turnover[1:] - 0.9 * turnover[:-1]

    def mean_correlation(x):
        rows = []
        for a, b in zip(innovation, x, strict=True):
            ok = np.isfinite(a) & np.isfinite(b)
            rows.append(np.corrcoef(rankdata(a[ok]), rankdata(b[ok]))[0, 1])
        return np.mean(rows)

    assert -0.45 < mean_correlation(ret) < -0.25
    assert -0.35 < mean_correlation(fresh) < -0.12


def test_signal_of_the_past_does_not_know_the_day(strong):
    """The signal moves the next day's return by its alpha alone, and today's news only through the innovation."""
    _, close, _ = prices(strong)
    with np.errstate(invalid="ignore"):
        tomorrow = close[1:] / close[:-1] - 1
    usable = universe(strong)[:-1]
    ics = [
        np.corrcoef(rankdata(s[o]), rankdata(r[o]))[0, 1]
        for s, r, o in zip(strong.signal[:-1], tomorrow, usable & np.isfinite(tomorrow), strict=True)
    ]
    assert 0.04 < np.mean(ics) < 0.10
