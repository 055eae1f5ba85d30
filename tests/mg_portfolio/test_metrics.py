"""Metrics and attribution from examples with a closed form."""

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.backtest.attribution import brinson, carino, factor_attribution
from mg_portfolio.errors import ProblemError
from mg_portfolio.metrics import NAMES, WEEK, max_drawdown, metrics_by_year, performance_metrics, win_rate

DAYS = pd.bdate_range("2019-12-31", "2021-03-31")


def steady(rate: float, count: int) -> np.ndarray:
    return (1 + rate) ** np.arange(count)


def test_one_year_of_steady_growth():
    nav = steady(1.2 ** (1 / 252) - 1, 253)
    m = performance_metrics(nav, np.ones(253))
    assert m["annual_return"] == pytest.approx(0.2)
    assert m["excess_annual"] == pytest.approx(0.2)
    assert m["annual_volatility"] == pytest.approx(0, abs=1e-12)
    assert m["max_drawdown"] == 0
    assert np.isnan(m["calmar_excess"])
    assert tuple(m) == NAMES


def test_half_a_year_is_annualised_geometrically():
    m = performance_metrics(np.r_[1.0, np.full(125, 1.0), 1.1])
    assert m["annual_return"] == pytest.approx(1.1**2 - 1)
    assert np.isnan(m["excess_annual"])


def test_volatility_sharpe_and_tracking_error():
    r = np.tile([0.02, -0.01], 126)
    b = np.tile([0.01, -0.01], 126)
    nav, index = np.r_[1, np.cumprod(1 + r)], np.r_[1, np.cumprod(1 + b)]
    m = performance_metrics(nav, index)
    spread = np.sqrt(252 / 251)  # sample deviation
    assert m["annual_volatility"] == pytest.approx(0.015 * spread * np.sqrt(252))
    assert m["annual_return"] == pytest.approx((1.02 * 0.99) ** 126 - 1)
    assert m["sharpe"] == pytest.approx(m["annual_return"] / m["annual_volatility"])
    assert m["tracking_error"] == pytest.approx(0.005 * spread * np.sqrt(252))
    assert m["excess_annual"] == pytest.approx((1.02 / 1.01) ** 126 - 1)
    assert m["information_ratio"] == pytest.approx(m["excess_annual"] / m["tracking_error"])
    assert m["benchmark_annual"] == pytest.approx((1.01 * 0.99) ** 126 - 1)
    assert performance_metrics(nav, index, excess="difference")["excess_annual"] == pytest.approx(1.01**126 - 1)


def test_drawdowns():
    nav = np.array([1.0, 1.5, 1.2, 1.8, 0.9, 1.7])
    assert max_drawdown(nav) == pytest.approx(0.5)
    m = performance_metrics(nav, np.array([1.0, 1.5, 1.5, 1.5, 1.5, 1.5]))
    assert m["max_drawdown"] == pytest.approx(0.5)
    assert m["excess_max_drawdown"] == pytest.approx(0.5)
    assert m["calmar"] == pytest.approx(m["annual_return"] / 0.5)
    assert m["calmar_excess"] == m["excess_calmar"] == pytest.approx(m["excess_annual"] / 0.5)


def test_excess_drawdown_is_of_relative_value():
    index = np.array([1.0, 0.5, 1.0])
    m = performance_metrics(2 * index, index)
    assert m["max_drawdown"] == pytest.approx(0.5)
    assert m["excess_max_drawdown"] == 0


def test_monthly_wins_leave_out_the_month_the_series_begins_in():
    days = pd.to_datetime(["2020-01-15", "2020-01-31", "2020-02-28", "2020-03-31", "2020-04-10"])
    nav = np.array([1.0, 9.0, 9.9, 9.0, 9.1])
    assert win_rate(nav, np.ones(5), days) == pytest.approx(2 / 3)  # won February and April, lost March
    assert np.isnan(win_rate(nav[:2], np.ones(2), days[:2]))


def test_months_of_2017_to_2023_11_are_the_82_of_series_72():
    days = pd.bdate_range("2017-01-04", "2023-11-30")
    nav = np.ones(len(days))
    nav[days >= "2023-11-30"] = 1.1
    assert win_rate(nav, np.ones(len(days)), days) == pytest.approx(1 / 82)


def test_weekly_wins():
    days = pd.bdate_range("2020-01-03", "2020-01-24")  # Friday, then three weeks
    nav = np.ones(len(days))
    nav[days >= "2020-01-08"] = 1.01
    nav[days >= "2020-01-20"] = 1.00
    assert win_rate(nav, np.ones(len(days)), days, WEEK) == pytest.approx(1 / 3)


def test_years_start_from_the_last_close_before_them():
    nav = steady(0.001, len(DAYS))
    index = steady(0.0004, len(DAYS))
    traded = DAYS[6::5]
    turnover = pd.Series(np.where(traded.year == 2020, 0.3, 0.5), index=traded)
    table = metrics_by_year(nav, index, DAYS, turnover)
    assert table.index.tolist() == ["whole", "2020", "2021"]  # the base day of 2019 is no year
    full, part = int((DAYS.year == 2020).sum()), int((DAYS.year == 2021).sum())
    assert table["days"].tolist() == [full + part, full, part]
    assert table.loc["2020", "annual_return"] == pytest.approx(1.001**full - 1)
    assert table.loc["2021", "annual_return"] == pytest.approx(1.001**part - 1)  # earned so far, not annualised
    assert table.loc["2021", "excess_annual"] == pytest.approx((1.001 / 1.0004) ** part - 1)
    assert table.loc["whole", "annual_return"] == pytest.approx(1.001**252 - 1)
    assert table.loc["2020", "monthly_win_rate"] == 1.0
    assert table.loc["2020", "turnover_two_way_per_rebalance"] == pytest.approx(0.3)
    weeks = (traded.year == 2021).sum()
    assert table.loc["2021", "turnover_two_way_annual"] == pytest.approx(0.5 * weeks * 252 / part)


@pytest.mark.parametrize("excess", ["relative", "difference"])
def test_scale_of_the_values_does_not_matter(excess):
    r = np.random.default_rng(0)
    nav, index = np.cumprod(1 + 0.01 * r.standard_normal((2, 300)), axis=1)
    a = performance_metrics(nav, index, pd.bdate_range("2020-01-01", periods=300), excess=excess)
    b = performance_metrics(7 * nav, 3 * index, pd.bdate_range("2020-01-01", periods=300), excess=excess)
    assert a == pytest.approx(b, nan_ok=True)


CHARTS_64_67 = [  # annual return, volatility, excess, tracking error; benchmark's return and volatility
    (0.1719, 0.2030, 0.1946, 0.0588, -0.0208, 0.2037),
    (0.1620, 0.2027, 0.1844, 0.0594, -0.0208, 0.2037),
    (0.1543, 0.2037, 0.1768, 0.0595, -0.0208, 0.2037),
    (0.2313, 0.2259, 0.2948, 0.0681, -0.0508, 0.2237),
    (0.2370, 0.2285, 0.3014, 0.0701, -0.0508, 0.2237),
    (0.2260, 0.2286, 0.2897, 0.0715, -0.0508, 0.2237),
]


@pytest.mark.parametrize(("ret", "vol", "excess", "te", "index_ret", "index_vol"), CHARTS_64_67)
def test_series_72_compounds_differences(ret, vol, excess, te, index_ret, index_vol):
    """Daily returns with exactly the printed moments: the printed excess follows from differences, not from R / B."""
    days = 252 * 7
    z = np.linalg.qr(np.random.default_rng(1).standard_normal((days, 3)))[0] * np.sqrt(days - 1)
    z = np.linalg.qr(np.column_stack([np.ones(days), z]))[0][:, 1:] * np.sqrt(days - 1)
    rho = (vol**2 + index_vol**2 - te**2) / (2 * vol * index_vol)
    daily = z[:, 0] * index_vol / np.sqrt(252), (rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]) * vol / np.sqrt(252)
    navs = []
    for noise, yearly in zip(daily, (index_ret, ret), strict=True):
        drift = 0.0
        for _ in range(20):  # the drift that compounds to the printed return
            drift += (np.log1p(yearly) / 252) - np.mean(np.log1p(noise + drift))
        navs.append(np.r_[1, np.cumprod(1 + noise + drift)])
    found = performance_metrics(navs[1], navs[0], excess="difference")
    assert found["annual_return"] == pytest.approx(ret, abs=1e-9)
    assert found["tracking_error"] == pytest.approx(te, abs=1e-4)
    assert found["excess_annual"] == pytest.approx(excess, abs=4e-4)
    assert performance_metrics(navs[1], navs[0])["excess_annual"] > excess + 1.5e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0],), "at least two"),
        (([1.0, -1.0],), "above 0"),
        (([1.0, np.nan],), "nav was"),
        (([1.0, 1.0], [1.0, 1.0, 1.0]), "expected 2"),
        (([1.0, 1.0], [1.0, 1.0], ["2020-01-01"]), "days had 1"),
    ],
)
def test_unusable_values_are_refused(arguments, message):
    with pytest.raises(ProblemError, match=message):
        performance_metrics(*arguments)


def test_a_benchmark_without_a_value_leaves_its_figures_open():
    alone, without = (performance_metrics([1.0, 1.1, 1.2], b) for b in (None, np.full(3, np.nan)))
    assert alone == pytest.approx(without, nan_ok=True)
    assert np.isnan(alone["excess_annual"])
    with pytest.raises(ProblemError, match="benchmark_nav"):
        performance_metrics([1.0, 1.1, 1.2], [1.0, np.nan, 1.1])


def test_unknown_compounding_is_refused():
    with pytest.raises(ProblemError, match="excess was 'both'"):
        performance_metrics([1.0, 1.0], [1.0, 1.0], excess="both")


def random_weights(t: int = 12, s: int = 50, seed: int = 0):
    r = np.random.default_rng(seed)
    w, b = r.random((t, s)) * (r.random((t, s)) < 0.5), r.random((t, s)) * (r.random((t, s)) < 0.5)
    return w / w.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True), 0.03 * r.standard_normal((t, s)), r


def test_brinson_sums_to_the_excess_each_period_and_over_all():
    w, b, ret, r = random_weights()
    industry = r.integers(0, 30, 50)  # many held by one side alone
    for portfolio in (w, 0.9 * w):  # with and without cash
        out = brinson(portfolio, b, ret, industry)
        excess = (portfolio * ret).sum(axis=1) - (b * ret).sum(axis=1)
        assert out.excess == pytest.approx(excess, abs=1e-15)
        assert (out.allocation + out.selection).sum(axis=1) == pytest.approx(excess, abs=1e-15)
        whole = np.prod(1 + (portfolio * ret).sum(axis=1)) - np.prod(1 + (b * ret).sum(axis=1))
        assert out.table()["total"].sum() == pytest.approx(whole, abs=1e-14)


def test_brinson_by_hand():
    out = brinson([[0.6, 0.2, 0.2]], [[0.25, 0.25, 0.5]], [[0.10, 0.02, -0.02]], np.array([5, 5, 9]))
    # industry 5: weights 0.8 and 0.5, benchmark return 6%, portfolio return 8%; benchmark as a whole 2%
    assert out.industries.tolist() == [5, 9, -1]
    assert out.allocation[0] == pytest.approx([0.3 * 0.04, -0.3 * -0.04, 0.0])
    assert out.selection[0] == pytest.approx([0.8 * 0.02, 0.0, 0.0])
    assert out.excess[0] == pytest.approx(0.04)


def test_brinson_of_a_portfolio_that_starts_in_cash():
    """Day 1 in cash, day 2 bought but for a tenth, then invested: what the cash missed is attributed to cash."""
    w, b, ret, r = random_weights()
    held = w.copy()
    held[0] = 0.0
    held[1] *= 0.9
    industry = r.integers(0, 6, 50)
    out = brinson(held, b, ret, industry)
    index = (b * ret).sum(axis=1)
    assert out.industries[-1] == -1
    assert out.allocation[0, -1] == pytest.approx(-index[0], abs=1e-15)
    assert out.allocation[1, -1] == pytest.approx(-0.1 * index[1], abs=1e-15)
    assert out.allocation[2:, -1] == pytest.approx(0.0, abs=1e-15)
    assert (out.selection[:, -1] == 0.0).all()
    assert out.selection[0] == pytest.approx(0.0, abs=1e-15)
    assert out.allocation[0, :-1].sum() == pytest.approx(0.0, abs=1e-15)
    assert (np.abs(out.allocation[0, :-1]) > 1e-5).all()  # industry by industry they are not nothing
    assert (out.allocation + out.selection).sum(axis=1) == pytest.approx((held * ret).sum(axis=1) - index, abs=1e-15)
    whole = np.prod(1 + (held * ret).sum(axis=1)) - np.prod(1 + index)
    table = out.table()
    assert table["total"].sum() == pytest.approx(whole, abs=1e-14)
    assert abs(table["total"].drop(-1).sum() - whole) > 1e-4  # without the cash it would not add up


def test_carino_factors_are_one_for_a_single_period():
    assert carino(np.array([0.05]), np.array([0.02])) == pytest.approx([1.0])
    assert carino(np.zeros(3), np.zeros(3)) == pytest.approx(np.ones(3))


def test_factor_attribution_finds_planted_returns_and_sums():
    w, b, noise, r = random_weights(t=4, s=300)
    industry = r.integers(0, 6, 300)
    style = r.standard_normal((4, 300))
    paid = np.array([0.01, -0.01, 0.02, 0.0])[:, None]
    ret = style * paid + 0.001 * noise
    ret[0, :3] = np.nan
    out = factor_attribution(w - b, ret, {"beta": style}, industry, size=r.random(300) + 0.5)
    exposure = ((w - b) * style).sum(axis=1)
    assert out["beta"].to_numpy() == pytest.approx(exposure * paid[:, 0], abs=2e-4)
    assert out[["industry", "beta", "selection"]].sum(axis=1).to_numpy() == pytest.approx(out["excess"], abs=1e-15)
    assert out["excess"].to_numpy() == pytest.approx(((w - b) * np.nan_to_num(ret)).sum(axis=1))


def test_attribution_refuses_shapes_that_differ():
    with pytest.raises(ProblemError, match="shapes differed"):
        brinson(np.ones((1, 3)) / 3, np.ones((1, 2)) / 2, np.zeros((1, 3)), np.zeros(3, int))
    with pytest.raises(ProblemError, match="shapes differed"):
        factor_attribution(np.zeros((1, 3)), np.zeros((1, 2)), {}, np.zeros(3, int))
