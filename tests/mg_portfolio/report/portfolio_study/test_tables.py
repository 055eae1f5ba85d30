"""The reports' portfolio tables: every printed number has its cell, and ours is what the definitions say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.catalog import ALL_PORTFOLIOS
from mg_portfolio.report.portfolio_study.layouts import (
    EXCESS_CORRELATIONS,
    INDEX_FIGURES,
    STUDIES,
    PublishedFigure,
    portfolios_of,
)
from mg_portfolio.report.portfolio_study.tables import (
    Account,
    account_figure,
    compose,
    compose_correlations,
    portfolio_table_markdown,
)
from mg_portfolio.report.published import published_rows

TABLES = [(study, table) for study, tables in STUDIES.items() for table in tables]


@pytest.fixture(scope="module")
def account() -> Account:
    r = np.random.default_rng(0)
    days = pd.bdate_range("2016-12-20", "2023-12-15").to_numpy().astype("datetime64[D]")
    index = np.cumprod(1 + 0.01 * r.standard_normal(len(days)))
    nav = index * np.cumprod(1 + 0.0005 + 0.003 * r.standard_normal(len(days)))
    traded = pd.Series(0.3 + 0.02 * r.random(len(days[1::5])), index=pd.DatetimeIndex(days[1::5]))
    return Account(days, nav, index, traded)


@pytest.mark.parametrize(("study", "table"), TABLES, ids=[f"{s} {t.table}" for s, t in TABLES])
def test_every_printed_number_has_a_cell(study, table):
    frame = compose(table, {})
    assert frame["published"].notna().all()
    printed = published_rows(report=table.report, table=table.table)
    assert len(frame) == len(printed)
    assert frame["published"].sum() == pytest.approx(printed["value"].sum())
    assert set(table.portfolios) <= set(ALL_PORTFOLIOS)
    assert (frame["note"] == "not asked for").all()
    assert not frame.duplicated(["table", "row", "column"]).any()  # a cell is named by its row and column alone
    for _, cells in table.rows:
        assert len(cells) == len(table.heads) or (len(cells) == INDEX_FIGURES and cells[0].of_index)


def test_studies_run_each_portfolio_once():
    assert [len(portfolios_of(s)) for s in STUDIES] == [96, 6, 16]


def test_a_cell_of_the_whole_period_is_the_definition(account):
    cell = PublishedFigure("x", "x", "excess_annual", "2017-01-01/2023-07-31")
    value, first, last = account_figure(account, cell)
    inside = (account.days >= np.datetime64("2017-01-01")) & (account.days <= np.datetime64("2023-07-31"))
    at = np.flatnonzero(inside)
    ratio = account.nav / account.benchmark_nav
    assert value == pytest.approx((ratio[at[-1]] / ratio[at[0] - 1]) ** (252 / inside.sum()) - 1)
    assert (first, last) == (str(account.days[at[0]]), "2023-07-31")


@pytest.mark.parametrize(
    ("metric", "period"),
    [("excess_return", "2019"), ("excess_ytd", "2023-01-01/2023-07-31"), ("annual_return", "2020")],
)
def test_a_cell_within_a_year_is_what_was_earned_in_it(account, metric, period):
    value, _, _ = account_figure(account, PublishedFigure("x", "x", metric, period))
    start, end = (period[:10], period[11:]) if "/" in period else (f"{period}-01-01", f"{period}-12-31")
    at = np.flatnonzero((account.days >= np.datetime64(start)) & (account.days <= np.datetime64(end)))
    own = account.nav if metric == "annual_return" else account.nav / account.benchmark_nav
    assert value == pytest.approx(own[at[-1]] / own[at[0] - 1] - 1)


def test_index_row_and_turnover_of_the_period(account):
    value, _, _ = account_figure(account, PublishedFigure("x", "x", "annual_return", "2021", of_index=True))
    at = np.flatnonzero(pd.DatetimeIndex(account.days).year == 2021)
    assert value == pytest.approx(account.benchmark_nav[at[-1]] / account.benchmark_nav[at[0] - 1] - 1)
    value, _, _ = account_figure(account, PublishedFigure("x", "x", "turnover_two_way_per_rebalance", "2021"))
    assert value == pytest.approx(account.turnover[account.turnover.index.year == 2021].mean())


def test_the_index_line_is_that_of_the_index(account):
    table = STUDIES["series_72"][0]
    frame = compose(table, dict.fromkeys(table.portfolios, account)).set_index(["portfolio", "metric"])
    own = frame.loc["csi500_turnover30 benchmark"]
    assert own["published"].tolist() == [-0.0208, 0.2037, -0.10, 0.4011]
    inside = (account.days >= np.datetime64("2017-01-04")) & (account.days <= np.datetime64("2023-11-30"))
    at = np.flatnonzero(inside)
    index = account.benchmark_nav[at[0] - 1 : at[-1] + 1]
    assert own.loc["annual_return", "ours"] == pytest.approx((index[-1] / index[0]) ** (252 / len(at)) - 1)
    assert own.loc["max_drawdown", "ours"] == pytest.approx(1 - np.min(index / np.maximum.accumulate(index)))
    page = portfolio_table_markdown(table, compose(table, dict.fromkeys(table.portfolios, account)))
    (line,) = [line for line in page.splitlines() if line.startswith("| CSI500")]
    assert line.count("|") == len(table.heads) + 2
    assert "(-2.1%)" in line


def test_a_cell_of_five_weekdays_is_their_mean(account):
    table = STUDIES["series_88"][0]
    shifted = [replace(account, nav=account.nav * (1 + 0.0002 * k) ** np.arange(len(account.days))) for k in range(5)]
    every = replace(shifted[0], others=tuple(shifted[1:]))
    cell = table.rows[0][1][0]
    found = [account_figure(a, cell)[0] for a in shifted]
    row = compose(table, {cell.portfolio: every}).iloc[0]
    assert row["ours"] == pytest.approx(np.mean(found), abs=1e-12)
    assert row["track_std"] == pytest.approx(np.std(found, ddof=1), abs=1e-12)
    assert np.isnan(compose(table, {cell.portfolio: account}).iloc[0]["track_std"])
    page = portfolio_table_markdown(table, compose(table, {cell.portfolio: every}))
    assert f"{100 * np.mean(found):.1f}% ±{100 * np.std(found, ddof=1):.1f}% (15.3%)" in page


def test_correlations_of_excess_are_those_of_shared_days(account):
    pairs = list(EXCESS_CORRELATIONS)
    noise = np.cumprod(1 + 0.004 * np.random.default_rng(3).standard_normal(len(account.days)))
    late = Account(account.days[300:], (account.nav * noise)[300:], account.benchmark_nav[300:], account.turnover)
    names = list(dict.fromkeys(n for pair in pairs for n in pair))
    frame = compose_correlations("huatai_69", {names[0]: account, names[1]: late, names[2]: "not trained here"})
    assert frame["published"].tolist() == [0.94, 0.80, 0.73, 0.82, 0.73, 0.73]
    first = frame.iloc[0]
    a, b = (pd.Series(x.nav, x.days).pct_change() - pd.Series(x.benchmark_nav, x.days).pct_change()
            for x in (account, late))  # fmt: skip
    both = pd.concat([a, b], axis=1).dropna().loc[:"2023-07-31"]
    assert first["ours"] == pytest.approx(both.corr().iloc[0, 1], abs=1e-12)
    assert first["first_day"] == str(account.days[301])
    lacking, unasked = "not trained here", "not asked for"
    assert frame["note"].tolist() == ["", lacking, unasked, lacking, unasked, lacking]
    assert compose_correlations("huatai_72", {}).empty


def test_the_reason_of_an_absent_figure_is_shown(account):
    table = STUDIES["series_72"][1]
    short = Account(*(x[-240:] for x in (account.days, account.nav, account.benchmark_nav)), account.turnover[-48:])
    accounts = {"csi500_turnover30": short, "csi500_turnover40": "fused is not among the signals"}
    frame = compose(table, accounts)
    ours = frame[frame["portfolio"] == "csi500_turnover30"]
    assert ours.loc[ours["period"] == "2017", "note"].tolist() == ["fewer than 20 days of 2017 in the lake"]
    assert ours.loc[ours["column"] == "2023.01-11", "ours"].notna().all()
    page = portfolio_table_markdown(table, frame)
    assert "- fused is not among the signals (1 portfolio)" in page
    assert "Ours: 2023-01-1" in page
    rows = [line for line in page.splitlines() if line.startswith("| turnover 30%")]
    assert rows[0].count("(") == 7
    assert "- (21.1%)" in rows[0]
    assert f"{100 * ours['ours'].iloc[-1]:.1f}% (2.7%)" in rows[0]


def test_days_and_partial_periods_are_noted_below_the_table(account):
    table = STUDIES["series_88"][2]
    since = np.flatnonzero(account.days >= np.datetime64("2022-07-01"))[0] - 1
    short = Account(*(x[since:] for x in (account.days, account.nav, account.benchmark_nav)), account.turnover)
    page = portfolio_table_markdown(table, compose(table, dict.fromkeys(table.portfolios, short)))
    assert "Ours: 2022-07-01 to 2023-07-31." in page
    assert "In part only: 2022 (2022-07-01 to 2022-12-30), 2017-01-01 to 2023-07-31 (2022-07-01 to 2023-07-31)." in page
    assert "- fewer than 20 days of 2017, 2018, 2019, 2020, 2021 in the lake" in page
    assert "Excess is that of the relative NAV" in page
    whole = portfolio_table_markdown(table, compose(table, dict.fromkeys(table.portfolios, account)))
    assert "In part only" not in whole
    assert "fewer than" not in whole


@pytest.mark.parametrize(("study", "at"), [("series_72", 0), ("series_69", 0), ("series_69", 2)])
def test_excess_of_series_69_and_72_compounds_differences(account, study, at):
    table = STUDIES[study][at]
    frame = compose(table, dict.fromkeys(table.portfolios, account))
    start, end = (np.datetime64(x) for x in table.rows[0][1][0].period.split("/"))
    inside = np.flatnonzero((account.days >= start) & (account.days <= end))
    before = max(inside[0] - 1, 0)
    r, b = (x[before + 1 : inside[-1] + 1] / x[before : inside[-1]] - 1 for x in (account.nav, account.benchmark_nav))
    years = len(r) / 252
    own = frame[frame["metric"] == "excess_annual"]
    assert own["ours"].to_numpy() == pytest.approx(np.prod(1 + r - b) ** (1 / years) - 1)
    assert own["by_relative_nav"].to_numpy() == pytest.approx(np.prod((1 + r) / (1 + b)) ** (1 / years) - 1)
    assert frame.loc[frame["metric"] != "excess_annual", "by_relative_nav"].isna().all()
    page = portfolio_table_markdown(table, frame)
    assert "Excess compounds daily differences, as the report's printed figures do. NAVs begin at" in page
    assert "history. By relative NAV" in page
    assert f"{own['row'].iloc[0]} {100 * own['by_relative_nav'].iloc[0]:.1f}%" in page


def test_a_table_without_excess_does_not_explain_it(account):
    table = STUDIES["series_72"][1]
    assert "xcess" not in portfolio_table_markdown(table, compose(table, dict.fromkeys(table.portfolios, account)))


def test_a_label_equal_to_the_one_above_is_left_blank(account):
    table = STUDIES["series_69"][0]
    page = portfolio_table_markdown(table, compose(table, dict.fromkeys(table.portfolios, account))).splitlines()
    assert [line.split(" | ")[0] for line in page if line.startswith("| ")][1:5] == [
        "| 10 days",
        "| ",
        "| ",
        "| 20 days",
    ]


def test_yearly_ratios_of_series_88_are_excess_over_error():
    rows = published_rows(report="haitong_88")
    rows = rows[rows["table"].isin(("table 10", "table 13")) & rows["period"].str.len().eq(4)]
    wide = rows.pivot(index=["table", "period"], columns="metric", values="value")
    assert len(wide) == 12
    low = (wide["excess_return"] - 0.0005) / (wide["tracking_error"] + 0.0005) - 0.005
    high = (wide["excess_return"] + 0.0005) / (wide["tracking_error"] - 0.0005) + 0.005
    assert ((wide["information_ratio"] > low) & (wide["information_ratio"] < high)).all()
    months = wide["monthly_win_rate"] * 12
    assert ((months - months.round()).abs() < 0.07).all()  # whole months of twelve


@pytest.mark.parametrize(("table", "grid", "subject"), [
    ("table 10", "table 8", "csi500_all_ind_neutral_stock_1pct_output_ensemble2_biagru_10d"),
    ("table 13", "table 11", "csi1000_all_ind_neutral_stock_1pct_output_ensemble3_biagru_10d"),
])  # fmt: skip
def test_captions_of_series_88_do_not_fit_their_figures(table, grid, subject):
    """As the notes of both tables say: the figures are another cell's of the grids."""
    own = published_rows(report="haitong_88", table=table)
    whole = own[(own["metric"] == "excess_return") & (own["period"] == "2017-01-01/2023-07-31")]["value"].item()
    ytd = own[(own["metric"] == "excess_return") & (own["period"] == "2023-01-01/2023-07-31")]["value"].item()
    cells = published_rows(report="haitong_88", table=grid, subject=subject).set_index("metric")["value"]
    assert (whole, ytd) == (cells["excess_annual"], cells["excess_ytd"])
    captioned = own["subject"].iloc[0]
    other = published_rows(report="haitong_88", subject=captioned)
    other = other[(other["metric"] == "excess_annual") & (other["table"] != table)]["value"].item()
    assert other != whole


def test_years_of_table_10_compound_to_its_whole_period():
    for table in ("table 10", "table 13"):
        rows = published_rows(report="haitong_88", table=table, metric="excess_return").set_index("period")["value"]
        years = rows[rows.index != "2017-01-01/2023-07-31"]
        grown = float(np.prod(1 + years))
        whole = rows["2017-01-01/2023-07-31"]
        sessions = np.log(grown) / np.log1p(whole) * 252
        assert 1560 < sessions < 1640  # 1,599 sessions from 2017-01-03 to 2023-07-31
