"""The ratios of the published tables follow from their own figures by our definitions."""

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.metrics import performance_metrics
from mg_portfolio.report.published import published_rows

RATIOS = {
    "calmar_excess": ("excess_annual", "excess_max_drawdown", 6),
    "excess_calmar": ("excess_annual", "excess_max_drawdown", 20),
    "information_ratio": ("excess_annual", "tracking_error", 26),
    "sharpe": ("annual_return", "annual_volatility", 28),
    "calmar": ("annual_return", "max_drawdown", 20),
}


def wide() -> pd.DataFrame:
    return published_rows().pivot(index=["report", "table", "period", "subject"], columns="metric", values="value")


@pytest.mark.parametrize("ratio", RATIOS)
def test_printed_ratios_are_ours_within_the_printed_digits(ratio):
    top, bottom, count = RATIOS[ratio]
    rows = wide()[[top, bottom, ratio]].dropna()
    assert len(rows) == count
    half = 0.00005  # figures are printed to 0.01%, ratios to 0.01
    low = (rows[top] - half) / (rows[bottom] + half) - 0.005
    high = (rows[top] + half) / (rows[bottom] - half) + 0.005
    outside = rows[(rows[ratio] < low - 1e-9) | (rows[ratio] > high + 1e-9)]
    assert outside.empty, outside.to_string()


@pytest.mark.parametrize(
    ("index", "whole", "yearly"), [("csi500", "chart 64", "chart 65"), ("csi1000", "chart 67", "chart 68")]
)
def test_series_72_years_compound_to_its_whole_period(index, whole, yearly):
    rows = published_rows()
    rows = rows[(rows["report"] == "huatai_72") & (rows["metric"] == "annual_return")]
    grown = 1 + rows[rows["table"] == yearly].pivot(index="period", columns="subject", values="value")
    assert len(grown) == 7
    total = rows[rows["table"] == whole].set_index("subject")["value"]
    days = np.log(grown[total.index].prod()) / np.log1p(total) * 252
    assert days.between(1670, 1700).all(), days  # 1,679 sessions from 2017-01-04 to 2023-11-30; they annualise by 1,690

    # its excess lies below that of relative value: it compounds 1 + r - b, as excess="difference" does
    base = float(grown[f"{index}_benchmark"].prod() ** (252 / days.mean()) - 1)
    own = wide().loc["huatai_72", whole].reset_index().set_index("subject").dropna(subset="excess_annual")
    spread = (1 + own["annual_return"]) / (1 + base) - 1 - own["excess_annual"]
    share = spread / (own["tracking_error"] ** 2)
    assert len(own) == 3
    assert share.between(0.25, 1.0).all(), share  # half the squared tracking error where both are as volatile


def test_ways_of_compounding_differ_by_the_variances():
    r = np.random.default_rng(0)
    b = 0.25 / np.sqrt(252) * r.standard_normal(252 * 40)
    own = 0.18 / 252 + 0.97 * b + 0.06 / np.sqrt(252) * r.standard_normal(len(b))
    nav, index = np.cumprod(np.r_[1, 1 + own]), np.cumprod(np.r_[1, 1 + b])
    relative = performance_metrics(nav, index)
    difference = performance_metrics(nav, index, excess="difference")
    gap = np.log1p(relative["excess_annual"]) - np.log1p(difference["excess_annual"])
    square = {name: 252 * np.mean(x**2) for name, x in (("own", own), ("b", b), ("active", own - b))}
    assert gap == pytest.approx((square["active"] - square["own"] + square["b"]) / 2, abs=1e-4)
    assert relative["calmar_excess"] == pytest.approx(relative["excess_annual"] / relative["excess_max_drawdown"])


def index_means(report: str, tables: list[str]) -> tuple[pd.Series, pd.Series]:
    """What differences leave of return over excess in each printed row, and what relative value leaves.

    With means a year m and variances v of r, b and r - b: ln(1 + R) = m_r - v_r / 2. Compounding differences gives
    ln(1 + E) = m_r - m_b - v_e / 2, so ln(1 + R) - ln(1 + E) + (v_r - v_e) / 2 = m_b, the same in every row. Relative
    value gives ln(1 + R) - ln(1 + E) = ln(1 + B), the same in every row as it is.
    """
    rows = wide().loc[report].loc[tables]
    rows = rows.dropna(subset=["excess_annual", "annual_return", "annual_volatility", "tracking_error"])
    log = np.log1p(rows["annual_return"]) - np.log1p(rows["excess_annual"])
    return log + (rows["annual_volatility"] ** 2 - rows["tracking_error"] ** 2) / 2, log


def test_series_69_compounds_differences():
    differences, relative = index_means("huatai_69", ["chart 11", "chart 23", "chart 24", "chart 35"])
    assert len(differences) == 20
    assert np.ptp(differences) < 1.5e-4  # what the printed digits leave open
    assert np.ptp(relative) > 1e-3


@pytest.mark.parametrize(
    ("table", "index", "volatility"), [("chart 64", -0.0208, 0.2037), ("chart 67", -0.0508, 0.2237)]
)
def test_series_72_compounds_differences_from_its_own_index(table, index, volatility):
    differences, relative = index_means("huatai_72", [table])
    assert len(differences) == 3
    assert differences.to_numpy() == pytest.approx(np.log1p(index) + volatility**2 / 2, abs=1e-4)
    assert (np.abs(relative - np.log1p(index)) > 1e-3).all()
