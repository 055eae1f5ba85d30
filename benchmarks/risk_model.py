"""The risk model on real daily bars: was its risk forecast right, and how long does it take.

Run: ``python benchmarks/risk_model.py ../shared/data [--bias] [--speed]`` (one thread; both parts by default). ``DATA``
holds ``daily_alla_2010_2023`` and ``industry_citic_2019``.

Bias: every 21 trading days from 2015 to 2023 the model is estimated from the days before, on all A-shares with 120
days of trading, and its forecasts for the next 21 days are compared with what portfolios earned over the equally
weighted market. Industries are one snapshot of 2019 (a stock without one is in an industry of its own), the styles
those of daily bars, without a market value. A return beyond 22% is left out: no price limit allows it but on first
days.

Speed: 5,000 stocks, 504 days, 30 industries, 8 styles; building the model and one quadratic rebalance, in CPU seconds
and beside cvxportfolio in the same run where it is installed (``pip install cvxportfolio``).
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from mg_portfolio import EnhancementProblem, optimize
from mg_portfolio.optimization.constraints import largest_violation, objective
from mg_portfolio.risk.cross_section import cross_sections
from mg_portfolio.risk.diagnostics import bias_statistics
from mg_portfolio.risk.exposures import BAR_STYLES, bar_styles
from mg_portfolio.risk.model import RiskModel, estimate, risk_model
from mg_portfolio.risk.settings import RiskSettings

PERIOD = 21
LARGEST_RETURN = 0.22
LISTED = 120
MODELS = {
    "default": RiskSettings(),
    "default, regime adjustment 42": RiskSettings(regime_half_life=42.0),
    "no statistical factors": RiskSettings(statistical_factors=0),
}


def read(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Days, daily returns and traded value ``(T, N)``, and industries ``(N,)``."""
    file = data / "daily_alla_2010_2023" / "daily.parquet"
    codes = data / "industry_citic_2019" / "stock_industry.parquet"
    for path in (file, codes):
        if not path.is_file():
            raise SystemExit(f"{path} is absent: DATA is the folder that holds it")
    rows = pd.read_parquet(file, columns=["date", "symbol", "close_milli", "volume", "factor"])
    day, days = pd.factorize(rows["date"], sort=True)
    stock, symbols = pd.factorize(rows["symbol"], sort=True)
    shape = (len(days), len(symbols))
    price, amount = np.full(shape, np.nan), np.full(shape, np.nan)
    traded = rows["volume"].fillna(0).to_numpy() > 0
    close = rows["close_milli"].to_numpy(float)
    price[day[traded], stock[traded]] = (close * rows["factor"].to_numpy(float))[traded]
    amount[day[traded], stock[traded]] = (close * rows["volume"].fillna(0).to_numpy(float))[traded]
    last = pd.DataFrame(price).ffill().to_numpy()
    returns = price[1:] / last[:-1] - 1.0
    returns = np.vstack([np.full(len(symbols), np.nan), returns])
    returns[np.abs(returns) > LARGEST_RETURN] = np.nan
    table = pd.read_parquet(codes).dropna()
    text = table["SecurityID"].astype(str)
    industry = pd.Series(table["ZXF"].to_numpy(int), text.str[7:9].str.replace("SS", "SH") + text.str[:6])
    found = industry[~industry.index.duplicated()].reindex(pd.Index(symbols).astype(str)).fillna(-1).to_numpy(int)
    return days.to_numpy("datetime64[D]"), returns, amount, found


def portfolios(
    model: RiskModel, usable: np.ndarray, industry: np.ndarray, styles: np.ndarray, r: np.random.Generator
) -> dict[str, np.ndarray]:
    """Active weights ``(P, N)`` against the equally weighted usable stocks, by kind; gross 2 where optimised."""
    n = len(usable)
    inside = np.flatnonzero(usable)
    market = usable / usable.sum()
    random = np.zeros((100, n))
    for row in random:
        row[r.choice(inside, 100, replace=False)] = 0.01
    codes, counts = np.unique(industry, return_counts=True)
    groups = [usable & (industry == code) for code in codes[counts >= 50]]
    styled = []
    for k in range(styles.shape[1]):
        x = np.where(usable & np.isfinite(styles[:, k]), styles[:, k], np.nan)
        styled += [x >= np.nanquantile(x, 0.8), x <= np.nanquantile(x, 0.2)]
    score = np.where(usable, r.standard_normal((20, n)), 0.0)
    b, d = model.factor_loadings, model.specific_var  # Sigma^-1 score by Woodbury's identity, without Sigma
    inner = np.linalg.pinv(model.factor_cov, hermitian=True) + (b / d[:, None]).T @ b
    best = (score - np.linalg.lstsq(inner, b.T @ (score / d).T, rcond=1e-12)[0].T @ b.T) / d
    best = np.where(usable, best, 0.0)
    best /= 0.5 * np.abs(best).sum(1, keepdims=True)
    return {
        "100 random stocks": random - market,
        "industries": np.array([g / g.sum() for g in groups]) - market,
        "top and bottom fifth of each style": np.array([s / s.sum() for s in styled]) - market,
        "least risk for a random score": best,
        "market": market[None],
    }


def enhanced(model: RiskModel, usable: np.ndarray, industry: np.ndarray, seed: int) -> np.ndarray:
    """Active weights ``(2, N)`` of long-only portfolios of a quarter of the stocks, each for a random score.

    Against their equally weighted mean: stocks within 0.5%, industries within 2%, risk aversion 20, scores of 1% a
    period.
    """
    r, inside = np.random.default_rng(seed), np.flatnonzero(usable)[::4]
    benchmark = np.full(len(inside), 1.0 / len(inside))
    out = np.zeros((2, len(usable)))
    for row in out:
        problem = EnhancementProblem(
            score=0.01 * r.standard_normal(len(inside)), benchmark=benchmark, holdings=benchmark,
            industry=industry[inside], stock_limit=0.005, industry_limit=0.02, risk_aversion=20.0,
            **model.fields(inside),
        )  # fmt: skip
        row[inside] = optimize(problem).weights - benchmark
    return out


def bias(data: Path) -> None:
    days, returns, amount, industry = read(data)
    seen = np.isfinite(returns)
    traded = np.cumsum(seen, 0)
    lately = traded - np.vstack([np.zeros((PERIOD, traded.shape[1]), int), traded[:-PERIOD]])
    universe = (traded >= LISTED) & (lately > PERIOD // 2)
    styles = bar_styles(returns, amount)
    started = time.process_time()
    sections = cross_sections(returns, industry, styles, universe=universe, style_names=BAR_STYLES)
    spent = [time.process_time() - started]
    print(f"{len(days)} days of up to {universe.sum(1).max()} stocks: regressions {spent[0]:.1f} CPU s")
    first = int(np.searchsorted(days, np.datetime64("2015-01-01")))
    dates = range(first - 1, len(days) - PERIOD, PERIOD)
    print(f"{len(dates)} periods of {PERIOD} days, {days[dates[0]]} to {days[dates[-1] + PERIOD]}\n")
    print("| model | portfolios | bias, median | 95% interval | within | forecast TE, a year | realised TE |")
    print("|---|---|---|---|---|---|---|")
    for name, settings in MODELS.items():
        r = np.random.default_rng(0)
        forecast: dict[str, list[np.ndarray]] = {}
        realised: dict[str, list[np.ndarray]] = {}
        spent = []
        for day in dates:
            started = time.process_time()
            model = estimate(sections, day, settings=settings, horizon=PERIOD)
            spent.append(time.process_time() - started)
            ahead = np.prod(1.0 + np.nan_to_num(returns[day + 1 : day + 1 + PERIOD]), 0) - 1.0
            kinds = portfolios(model, universe[day], industry, styles[day], r)
            kinds["enhanced, long only within limits"] = enhanced(model, universe[day], industry, day)
            for kind, weights in kinds.items():
                forecast.setdefault(kind, []).append(model.volatility(weights))
                realised.setdefault(kind, []).append(weights @ ahead)
        year = np.sqrt(252.0 / PERIOD)
        for kind in forecast:
            b = bias_statistics(np.array(forecast[kind]), np.array(realised[kind]))
            errors = f"{np.median(b.forecast) * year:.1%} | {np.median(b.realised) * year:.1%}"
            interval = f"{np.median(b.statistic):.2f} | {b.low:.2f} to {b.high:.2f} | {b.within:.0%}"
            print(f"| {name} | {kind} ({len(b.statistic)}) | {interval} | {errors} |")
        print(f"| {name} | one model: {statistics.median(spent):.2f} CPU s | | | | | |", flush=True)


def cvxportfolio_build(returns: np.ndarray) -> None:
    """Its fitted factor model: principal components of all returns."""
    from cvxportfolio.forecast import HistoricalLowRankCovarianceSVD

    HistoricalLowRankCovarianceSVD.build_low_rank_model(pd.DataFrame(returns), num_factors=44)


def cvxportfolio_rebalance(p: EnhancementProblem) -> np.ndarray:
    """SinglePeriodOptimization with the same covariance, budget, bands and turnover, industries within their limit."""
    import cvxportfolio as cvx

    names = [f"s{i}" for i in range(p.size)]
    columns = [*names, "cash"]
    days = pd.date_range("2020-01-01", periods=3, tz="UTC")
    market = cvx.UserProvidedMarketData(
        returns=pd.DataFrame(0.0, index=days, columns=columns), cash_key="cash", min_history=pd.Timedelta("0d"),
        copy_dataframes=False,
    )  # fmt: skip
    loadings, cov, specific = p.risk_model
    factors = [f"f{i}" for i in range(len(cov))]
    risk = cvx.FactorModelCovariance(
        F=pd.DataFrame(loadings.T, index=factors, columns=names),
        Sigma_F=pd.DataFrame(cov, index=factors, columns=factors),
        d=pd.Series(specific, index=names),
    )
    exposure = pd.DataFrame([(p.industry == c).astype(float) for c in np.unique(p.industry)], columns=names)
    centre = exposure.to_numpy() @ p.benchmark
    limits = [
        cvx.NoCash(),
        cvx.MinWeights(pd.Series(np.maximum(p.benchmark - p.stock_limit, 0.0), index=names)),
        cvx.MaxWeights(pd.Series(p.benchmark + p.stock_limit, index=names)),
        cvx.TurnoverLimit(p.turnover_limit),
        cvx.FactorMaxLimit(exposure.T, pd.Series(centre + p.industry_limit)),
        cvx.FactorMinLimit(exposure.T, pd.Series(centre - p.industry_limit)),
    ]
    weights = pd.Series([*p.benchmark, 0.0], index=columns)
    policy = cvx.SinglePeriodOptimization(
        cvx.ReturnsForecast(r_hat=pd.Series(p.score, index=names)) - 0.5 * p.risk_aversion * risk,
        limits, include_cash_return=False, solver="CLARABEL", benchmark=weights,
    )  # fmt: skip
    held = pd.Series([*(p.holdings * 1e8), 0.0], index=columns)
    trades, _, _ = policy.execute(held, market, t=days[1])
    return ((held + trades) / held.sum()).to_numpy()[:-1]


def timed(name: str, call: Callable[[], object], times: int) -> tuple[str, list[float], object]:
    """CPU seconds of each of ``times`` calls after the first, which compiles and imports, and the last answer."""
    spent, found = [], None
    try:
        for _ in range(times + 1):
            started = time.process_time()
            found = call()
            spent.append(time.process_time() - started)
    except ImportError as absent:
        print(f"{name}: {absent.name} is not installed", flush=True)
        return name, [], None
    return name, spent[1:], found


def table(title: str, rows: list[tuple[str, list[float], object]], p: EnhancementProblem | None = None) -> None:
    print(f"\n**{title}**\n\n| way | CPU seconds, median | times ours | note |\n|---|---|---|---|")
    ours = statistics.median(rows[0][1])
    for name, spent, found in rows:
        if spent:
            note = ""
            if p is not None and isinstance(found, np.ndarray):
                note = f"objective {objective(p, found):.8f}, violation {largest_violation(p, found):.0e}"
            median = statistics.median(spent)
            print(f"| {name} | {median:.3f} | {median / ours:.1f} | {note} |", flush=True)


def speed(stocks: int = 5000, days: int = 504, times: int = 3) -> None:
    """Print the medians and the ratios to ours."""
    r = np.random.default_rng(0)
    industry = r.integers(0, 30, stocks)
    styles = r.standard_normal((days, stocks, 8)).astype(np.float32)
    market = 0.012 * r.standard_normal((days, 1)) + (0.006 * r.standard_normal((days, 30)))[:, industry]
    returns = market + 0.003 * np.einsum("tnk,tk->tn", np.roll(styles, 1, 0), r.standard_normal((days, 8)))
    returns += 0.02 * np.exp(0.3 * r.standard_normal(stocks)) * r.standard_normal((days, stocks))
    build = [
        timed("ours: 31 + 8 + 5 factors, Newey-West, regime, shrunk specific risk", lambda: risk_model(
            returns, industry, styles, settings=RiskSettings(regime_half_life=42.0), horizon=5), times),
        timed("cvxportfolio: 44 principal components", lambda: cvxportfolio_build(returns), times),
    ]  # fmt: skip
    table(f"{stocks} stocks, {days} days: building the model", build)
    model = build[0][2]
    assert isinstance(model, RiskModel)
    cap = r.lognormal(0, 0.6, stocks)
    member = np.zeros(stocks, bool)
    member[np.argsort(-cap)[:500]] = True
    benchmark = np.where(member, cap, 0.0) / cap[member].sum()
    p = EnhancementProblem(
        score=0.002 * r.standard_normal(stocks), benchmark=benchmark, holdings=benchmark, industry=industry,
        stock_limit=0.008, industry_limit=0.02, turnover_limit=0.15, risk_aversion=20.0, **model.fields(),
    )  # fmt: skip
    rebalance = [
        timed("ours", lambda: optimize(p).weights, times),
        timed("cvxportfolio, Clarabel", lambda: cvxportfolio_rebalance(p), 1),
    ]
    table(f"{stocks} stocks: one quadratic rebalance", rebalance, p)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bias", action="store_true")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers'
    if options.speed or not options.bias:
        speed()
    if options.bias or not options.speed:
        bias(options.data)


if __name__ == "__main__":
    main()
