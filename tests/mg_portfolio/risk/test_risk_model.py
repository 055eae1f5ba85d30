"""The risk model on a simulated factor market whose covariance is known, beside dense twins, and without the future."""

from dataclasses import replace

import numpy as np
import pytest

from mg_portfolio import EnhancementProblem, ProblemError, build_problem, optimize
from mg_portfolio.catalog import PORTFOLIOS
from mg_portfolio.risk.covariance import factor_covariance, long_run_covariance, long_run_variance, regime_multiplier
from mg_portfolio.risk.cross_section import cross_sections
from mg_portfolio.risk.diagnostics import bias_statistics
from mg_portfolio.risk.exposures import BAR_STYLES, bar_styles
from mg_portfolio.risk.model import estimate, risk_model
from mg_portfolio.risk.settings import RiskSettings
from mg_portfolio.risk.specific import shrunk

CALM = RiskSettings(
    statistical_factors=2, volatility_half_life=252.0, specific_half_life=252.0, newey_west_lags=0, shrinkage=0.1
)


class Market:
    """Market, 6 industries, 3 styles and 2 hidden factors with normal returns; 240 stocks."""

    def __init__(self, days=504, stocks=240, seed=0):
        r = np.random.default_rng(seed)
        self.industry = r.integers(0, 6, stocks)
        style = r.standard_normal((stocks, 3))
        deviation = np.concatenate([[0.012], np.full(6, 0.006), np.full(3, 0.004), np.full(2, 0.005)])
        loadings = np.hstack(
            [np.ones((stocks, 1)), self.industry[:, None] == np.arange(6), style, r.standard_normal((stocks, 2))]
        )
        self.specific = 0.02 * np.exp(0.3 * r.standard_normal(stocks))
        self.factors = r.standard_normal((days, 12)) * deviation
        self.returns = self.factors @ loadings.T + self.specific * r.standard_normal((days, stocks))
        self.styles = np.broadcast_to(style, (days, stocks, 3)).copy()
        scaled = loadings * deviation
        self.covariance = scaled @ scaled.T + np.diag(self.specific**2)

    def model(self, settings=CALM, **options):
        return risk_model(self.returns, self.industry, self.styles, settings=settings, **options)


@pytest.fixture(scope="module")
def market():
    return Market()


def active(stocks, count=200, seed=3):
    r = np.random.default_rng(seed)
    w = np.zeros((count, stocks))
    for row in w:
        row[r.choice(stocks, 40, replace=False)] = 1 / 40
    return w - 1.0 / stocks


def test_known_covariance_comes_back(market):
    model = market.model()
    w = active(240)
    true = np.sqrt(np.einsum("ki,ij,kj->k", w, market.covariance, w))
    ratio = model.volatility(w) / true
    assert abs(np.mean(ratio) - 1.0) < 0.03
    assert np.std(ratio) < 0.03
    own = np.sqrt(model.specific_var) / market.specific
    assert abs(np.mean(own) - 1.0) < 0.03
    assert np.std(own) < 0.1
    assert model.factor_names[:2] == ("market", "industry[0]")
    assert model.factor_names[-2:] == ("statistical[1]", "statistical[2]")


def test_bias_statistic_lies_in_its_interval(market):
    r = np.random.default_rng(11)
    later = np.linalg.cholesky(market.covariance) @ r.standard_normal((240, 150))
    w = active(240)
    realised = (w @ later).T
    forecast = np.broadcast_to(market.model().volatility(w), realised.shape)
    found = bias_statistics(forecast, realised)
    assert found.low < np.median(found.statistic) < found.high
    assert found.within > 0.9
    assert np.allclose(found.realised / found.forecast, found.statistic)
    wrong = bias_statistics(0.7 * forecast, realised)  # a risk forecast a third too low is found
    assert wrong.within < 0.05


def test_regression_equals_a_dense_constrained_one(market):
    r = np.random.default_rng(5)
    size = np.exp(r.standard_normal(market.returns.shape))
    settings = RiskSettings(weights="sqrt_size")
    found = cross_sections(market.returns[:3], market.industry, market.styles[:3], size=size[:3], settings=settings)
    w = np.sqrt(size[1])
    x = np.hstack([np.ones((240, 1)), market.industry[:, None] == np.arange(6), market.styles[1]])
    share = np.bincount(market.industry, w, 6)
    normal = np.zeros((11, 11))  # least squares with the weighted industry returns summing to zero
    normal[:10, :10] = x.T @ (w[:, None] * x)
    normal[10, 1:7] = normal[1:7, 10] = share
    solved = np.linalg.solve(normal, np.append(x.T @ (w * market.returns[2]), 0.0))[:10]
    assert np.allclose(found.factor_returns[2], solved, atol=1e-12)
    assert np.allclose(found.residuals[2], market.returns[2] - x @ solved, atol=1e-12)
    assert np.isnan(found.factor_returns[0]).all()


def test_newey_west_equals_its_definition():
    x = np.random.default_rng(0).standard_normal((60, 3))
    x[1:] += 0.5 * x[:-1]
    found = long_run_covariance(x, 30.0, 2)
    w = 0.5 ** (np.arange(59, -1, -1) / 30.0)
    w /= w.sum()
    expected = sum(w[t] * np.outer(x[t], x[t]) for t in range(60))
    for lag in (1, 2):
        cross = sum(np.sqrt(w[t] * w[t - lag]) * np.outer(x[t], x[t - lag]) for t in range(lag, 60))
        expected += (1 - lag / 3) * (cross + cross.T)
    assert np.allclose(found, expected)
    assert np.allclose(long_run_variance(x, 30.0, 2), np.diag(expected))
    both = factor_covariance(x, 20.0, 60.0, 2)
    assert np.allclose(np.diag(both), np.diag(long_run_covariance(x, 20.0, 2)))
    assert np.linalg.eigvalsh(both).min() > 0.0


def test_autocorrelated_returns_raise_the_risk(market):
    slow = market.returns[1:] + 0.5 * market.returns[:-1]
    args = (slow, market.industry, market.styles[1:])
    plain = risk_model(*args, settings=CALM).volatility(active(240))
    corrected = risk_model(*args, settings=replace(CALM, newey_west_lags=5)).volatility(active(240))
    ratio = np.mean(corrected / plain)  # (1 + 0.5)^2 / (1 + 0.5^2), less what Bartlett's weights of five lags leave
    assert 1.2 < ratio < 1.35


def test_horizon_is_the_unit(market):
    day, week = market.model(), market.model(horizon=5)
    w = active(240)
    assert np.allclose(week.volatility(w), np.sqrt(5) * day.volatility(w))
    assert (day.horizon, week.horizon) == (1, 5)


def test_regime_follows_a_doubled_volatility(market):
    wild = market.returns.copy()
    wild[-20:] *= 2.0
    settings = replace(CALM, regime_half_life=10.0)
    model = risk_model(wild, market.industry, market.styles, settings=settings)
    assert min(model.regime) > 1.8
    assert market.model(settings).regime == pytest.approx((1.0, 1.0), abs=0.25)
    assert market.model().regime == (1.0, 1.0)
    x = np.random.default_rng(0).standard_normal((400, 50))
    assert regime_multiplier(x, 84.0, 42.0) == pytest.approx(1.0, abs=0.05)


def test_future_changes_no_model_before_it(market):
    r = np.random.default_rng(0)
    amount = np.exp(r.standard_normal(market.returns.shape))
    universe = r.random(market.returns.shape) < 0.95

    def models(returns, amount, universe):
        styles = bar_styles(returns, amount)
        sections = cross_sections(returns, market.industry, styles, size=amount, universe=universe)
        return estimate(sections, 350, settings=replace(CALM, regime_half_life=20.0))

    before = models(market.returns, amount, universe)
    later = [market.returns.copy(), amount.copy(), universe.copy()]
    later[0][351:] = 0.3
    later[1][351:] = 7.0
    later[2][351:] = False
    after = models(*later)
    for name in ("factor_loadings", "factor_cov", "specific_var"):
        assert np.array_equal(getattr(before, name), getattr(after, name))
    later[0][350, 3] += 0.05  # the day itself counts
    assert not np.array_equal(before.specific_var, models(*later).specific_var)


def test_one_call_equals_a_longer_history_cut(market):
    settings = replace(CALM, days=200)
    whole = estimate(cross_sections(market.returns, market.industry, market.styles), settings=settings)
    assert np.allclose(whole.factor_cov, market.model(settings).factor_cov, rtol=1e-9, atol=1e-18)


def test_suspended_days_say_nothing(market):
    halted = market.returns.copy()
    halted[200:300, :20] = np.nan
    model = risk_model(halted, market.industry, market.styles, settings=CALM)
    ratio = np.sqrt(model.specific_var[:20]) / market.specific[:20]
    assert abs(np.mean(ratio) - 1.0) < 0.06  # zeros in their place would lower it by a tenth
    assert (model.observed[:20] == model.observed[30] - 100).all()


def test_listed_stocks_are_structural(market):
    returns, styles = market.returns.copy(), market.styles.copy()
    returns[:-10, :8], styles[:-10, :8] = np.nan, np.nan
    returns[:, 8], styles[:, 8] = np.nan, np.nan  # listed today: no return yet
    returns[-10:, 0] = 0.0  # a quiet start is not a low risk
    model = risk_model(returns, market.industry, styles, settings=CALM)
    assert all(np.isfinite(x).all() for x in model.fields().values())
    seasoned = np.sqrt(model.specific_var[9:])
    assert (np.sqrt(model.specific_var[:9]) > np.quantile(seasoned, 0.1)).all()
    assert (np.sqrt(model.specific_var[:9]) < np.quantile(seasoned, 0.9)).all()
    assert np.abs(model.factor_loadings[8, -2:]).max() == 0.0


def test_industry_without_a_return_has_none_of_its_own(market):
    returns = market.returns.copy()
    returns[100, market.industry == 2] = np.nan
    found = cross_sections(returns, market.industry, market.styles)
    assert found.factor_returns[100, 3] == 0.0
    assert np.isfinite(found.factor_returns[1:]).all()


def test_stock_alone_in_its_industry_keeps_a_risk_of_its_own(market):
    industry = np.append(9, market.industry[1:])
    model = risk_model(market.returns, industry, market.styles, settings=CALM)
    assert model.observed[0] == 0
    assert model.specific_var[0] > 0.5 * np.median(model.specific_var)
    assert model.volatility(np.eye(240)[0]) > 0.9 * np.sqrt(market.covariance[0, 0])


def test_shrinkage_draws_the_far_ones_most():
    v = np.array([1.0, 1.1, 1.2, 3.0])
    found = shrunk(v, np.zeros(4), 1, 0.5)
    share = (v - found) / (v - v.mean())
    far = 0.5 * np.abs(v - v.mean())
    assert np.allclose(share, far / (far + v.std()))
    assert np.array_equal(shrunk(v, v, 4, 0.5), v)  # each a bucket of its own


def test_bar_styles_equal_their_definitions(market):
    returns = market.returns.copy()
    returns[300:310, 0] = np.nan
    amount = np.exp(np.random.default_rng(1).standard_normal(returns.shape))
    found = bar_styles(returns, amount)
    day = 400
    m = np.nanmean(returns, axis=1)

    def z(x):
        middle = np.median(x)
        spread = 3 * 1.4826 * np.median(np.abs(x - middle))
        x = np.clip(x, middle - spread, middle + spread)
        return (x - x.mean()) / x.std()

    window = slice(day - 125, day + 1)
    seen = np.isfinite(returns[window])
    pairs = [(returns[window, i][ok], m[window][ok]) for i, ok in enumerate(seen.T)]
    expected = {
        "beta": z(np.array([np.cov(a, b, bias=True)[0, 1] / b.var() for a, b in pairs])),
        "volatility": z(np.array([a.std() for a, _ in pairs])),
        "momentum": z(np.nansum(returns[day - 251 : day - 20], axis=0)),
        "reversal": z(np.nansum(returns[day - 20 : day + 1], axis=0)),
        "amount": z(np.log(amount[day - 62 : day + 1].mean(0))),
    }
    for k, name in enumerate(BAR_STYLES):
        assert np.allclose(found[day, :, k], expected[name], atol=1e-4), name


def test_optimizer_takes_the_model(market):
    r = np.random.default_rng(0)
    spec = replace(PORTFOLIOS["csi500_turnover30"], style_limits={}, turnover_limit=0.5)
    score, b = r.standard_normal(260) * 1e-3, r.random(260)
    score[:20], b[:20] = np.nan, 0.0  # 20 stocks that the problem leaves out
    problem = build_problem(spec, score, b, b / b.sum())
    wide = risk_model(
        np.hstack([np.full((504, 20), np.nan), market.returns]),
        np.append(np.full(20, -1), market.industry),
        np.concatenate([np.full((504, 20, 3), np.nan), market.styles], axis=1),
        settings=CALM,
        horizon=5,
    )
    held = {}
    for aversion in (20.0, 200.0):
        p = replace(problem, risk_aversion=aversion, **wide.fields(problem.positions))
        assert isinstance(p, EnhancementProblem)
        solution = optimize(p)
        assert solution.status == "optimal"
        gap = solution.weights - problem.benchmark
        held[aversion] = wide.volatility(np.append(np.zeros(20), gap))
    assert held[200.0] < 0.8 * held[20.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"industry": np.zeros(3, int)}, r"industry had shape \(3,\)"),
        ({"industry": np.zeros(240)}, "expected integers"),
        ({"styles": np.zeros((504, 240))}, r"styles had shape \(504, 240\)"),
        ({"returns": np.full((504, 240), np.inf)}, "returns was infinite on row"),
        ({"universe": np.ones((504, 240))}, "universe had shape"),
        ({"style_names": ("a",)}, "style_names had 1 names"),
        ({"settings": RiskSettings(weights="sqrt_size")}, "size was not given"),
        ({"returns": np.full((504, 240), np.nan)}, "0 days with enough stocks"),
        ({"horizon": 0}, "horizon was 0"),
    ],
)
def test_wrong_argument_is_named(market, change, message):
    given = {"returns": market.returns, "industry": market.industry, "styles": market.styles} | change
    with pytest.raises(ProblemError, match=message):
        risk_model(**given)


def test_wrong_setting_is_named():
    for change, message in (
        ({"weights": "cap"}, "weights was 'cap'"),
        ({"volatility_half_life": 0.0}, "volatility_half_life was 0.0"),
        ({"days": 5}, "days was 5"),
        ({"short_history": 200}, "short_history was 200"),
    ):
        with pytest.raises(ProblemError, match=message):
            RiskSettings(**change)
    with pytest.raises(ProblemError, match="one \\(periods"):
        bias_statistics(np.ones((3, 2)), np.ones((3, 3)))
    with pytest.raises(ProblemError, match="had NaN"):
        bias_statistics(np.zeros((3, 2)), np.ones((3, 2)))
    with pytest.raises(ProblemError, match="one shape"):
        bar_styles(np.ones((3, 2)), np.ones((3, 3)))
