"""A study as a page: every cell, laid out as in the report, nothing fetched."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.portfolio import relative_chart
from mg_portfolio.report.portfolio_study.chart_layouts import CHARTS
from mg_portfolio.report.portfolio_study.charts import excess_lines
from mg_portfolio.report.portfolio_study.layouts import STUDIES, portfolios_of
from mg_portfolio.report.portfolio_study.page import PortfolioStudy, head_rows, render_portfolio_study
from mg_portfolio.report.portfolio_study.tables import Account, compose, compose_correlations, format_figure

DAYS = pd.bdate_range("2022-06-30", "2023-07-10").to_numpy().astype("datetime64[D]")


def account(seed: int) -> Account:
    r = np.random.default_rng(seed)
    index = np.cumprod(1 + 0.01 * r.standard_normal(len(DAYS)))
    nav = index * np.cumprod(1 + 0.0005 + 0.003 * r.standard_normal(len(DAYS)))
    return Account(DAYS, nav, index, pd.Series(0.3, index=pd.DatetimeIndex(DAYS[1::5])))


class Tables(HTMLParser):
    """Cells of every table of the reports, row by row; a cell as (text, columns)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[tuple[str, int]]]] = {}
        self.key, self.open = "", False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "table":
            self.key = given.get("data-table", "")
            self.found.setdefault(self.key, [])
        elif tag == "tr":
            self.found[self.key].append([])
        elif tag in ("td", "th"):
            self.found[self.key][-1].append(("", int(given.get("colspan", 1))))
            self.open = True

    def handle_endtag(self, tag):
        self.open = self.open and tag not in ("td", "th")

    def handle_data(self, data):
        if self.open:
            text, columns = self.found[self.key][-1][-1]
            self.found[self.key][-1][-1] = ((text + data).strip(), columns)


def tables_of(page: str) -> dict[str, list[list[tuple[str, int]]]]:
    parser = Tables()
    parser.feed(page)
    return parser.found


def test_heads_that_share_a_word_share_its_cell():
    assert head_rows(["2017, a, x", "2017, a, y", "2017, b, x", "2018, b, x"]) == [
        [("2017", 3, True), ("2018", 1, True)],
        [("a", 2, True), ("b", 1, False), ("b", 1, True)],
        [("x", 1, True), ("y", 1, False), ("x", 1, False), ("x", 1, True)],
    ]
    assert head_rows(["one", "two"]) == [[("one", 1, False), ("two", 1, False)]]


@pytest.mark.parametrize("study", STUDIES)
def test_every_cell_is_in_its_row_and_column(study):
    accounts = {name: account(i) for i, name in enumerate(portfolios_of(study))}
    tables = [(table, compose(table, accounts)) for table in STUDIES[study]]
    page = render_portfolio_study(
        PortfolioStudy(tables, trading="the report's costs", source="Simulated", lake="/lake", simulated=True)
    )
    found = tables_of(page)
    for table, frame in tables:
        rows = found[f"{table.report}_{table.table.replace(' ', '_')}"]
        width = len(table.heads)
        heads = rows[: len(head_rows(table.heads))]
        assert all(sum(columns for _, columns in row) == width + 2 for row in heads)
        ours = [row for row in rows if ("ours", 1) in row]
        published = [row for row in rows if row[0] == ("published", 1)]
        assert len(ours) == len(published) == len(table.rows)
        place = 0
        for (labels, cells), mine, theirs in zip(table.rows, ours, published, strict=True):
            own = frame.iloc[place : place + len(cells)]
            place += len(cells)
            lacking = width - len(cells)
            if lacking:  # an index has no excess
                assert mine.pop() == ("an index has none", lacking)
                assert theirs.pop() == ("", lacking)
            assert mine[0][0] == labels[-1]
            assert [text for text, _ in theirs[1:]] == [format_figure(r.published, r.metric) for r in own.itertuples()]
            if own["ours"].isna().all():
                assert mine[2:] == [(own["note"].iloc[0], width)]
                assert "fewer than 20 days" in mine[2][0]
            else:
                assert [text for text, _ in mine[2:]] == [format_figure(r.ours, r.metric) for r in own.itertuples()]
    assert "The market is simulated" in page
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_row_without_figures_shows_the_reason():
    lacking = {name: "lstm is not among the signals" for name in portfolios_of("series_69")}
    tables = [(table, compose(table, lacking)) for table in STUDIES["series_69"]]
    page = render_portfolio_study(PortfolioStudy(tables, accounts=lacking))
    assert "<svg" not in page
    assert "0 of 16 portfolios have a backtest, 0 of 240 cells a figure of ours" in page
    assert page.count("lstm is not among the signals</td>") == 20
    untrained = {name: f"not trained here: add m{i} to `catalog`" for i, name in enumerate(lacking)}
    tables = [(table, compose(table, untrained)) for table in STUDIES["series_69"]]
    page = render_portfolio_study(PortfolioStudy(tables, accounts=untrained))
    chart = page.partition('id="huatai_69_chart_14"')[2].partition("</article>")[0]
    assert chart.count("not trained here") == 1 + chart.count("title=")  # one line names all models
    assert "The market is simulated" not in page


def test_charts_and_backtests_are_on_the_page():
    accounts = {name: account(i) for i, name in enumerate(portfolios_of("series_72"))}
    tables = [(table, compose(table, accounts)) for table in STUDIES["series_72"]]
    chart = relative_chart(DAYS, {n: a.excess_nav("difference") for n, a in accounts.items()}, "CSI500: excess")
    walks = pd.DataFrame({"portfolio": list(accounts), "decisions": 53, "largest_violation": "1e-15"})
    page = render_portfolio_study(PortfolioStudy(tables, {"excess csi500": chart}, backtests=walks))
    assert page.count("<svg") == 1
    assert page.count("- : fewer than 20 days of 2017, 2018, 2019, 2020, 2021 in the lake") == 2
    assert "largest violation" in page
    assert page.count("<code>csi") == 6


@pytest.fixture(scope="module")
def study_69():
    accounts = {name: account(i) for i, name in enumerate(portfolios_of("series_69"))}
    tables = [(table, compose(table, accounts)) for table in STUDIES["series_69"]]
    return PortfolioStudy(tables, accounts=accounts, correlations=compose_correlations("huatai_69", accounts))


def test_charts_have_ours_beside_the_printed_numbers(study_69):
    page = render_portfolio_study(study_69)
    found, frames = tables_of(page), {table.table: frame for table, frame in study_69.tables}
    assert {chart.key for chart in CHARTS["huatai_69"]} | {"huatai_69_chart_33"} <= set(re.findall(r'id="(\w+)"', page))
    assert page.count("<svg") == len(CHARTS["huatai_69"])
    cell = (
        frames["chart 11"].set_index(["row", "column"]).loc[("20 days, attention between tasks", "information ratio")]
    )
    rows = {row[0][0]: [text for text, _ in row[1:]] for row in found["huatai_69_chart_14"]}
    assert rows["20 days"][2:4] == [format_figure(cell["ours"], "information_ratio"), "2.91"]
    rows = {row[0][0]: [text for text, _ in row[1:]] for row in found["huatai_69_chart_37"]}
    assert rows["ensemble"][1] == "18.2%"
    matrix = [[text for text, _ in row[1:]] for row in found["huatai_69_chart_33"][1:]]
    ours = study_69.correlations["ours"].to_numpy()
    assert matrix[1][0] == matrix[0][1] == f"{ours[0]:.2f}(0.94)"
    assert [matrix[i][i] for i in range(4)] == ["1"] * 4


def test_lines_of_excess_are_the_accounts(study_69):
    chart = next(c for c in CHARTS["huatai_69"] if c.key == "huatai_69_chart_31")
    days, lines = excess_lines(chart, study_69.accounts, "difference")
    assert list(chart.portfolios)[2] == "csi500_temporal_transformer_relaxed"
    own = study_69.accounts["csi500_temporal_transformer_relaxed"]
    np.testing.assert_allclose(lines[2], own.excess_nav("difference"), atol=1e-12)
    assert days.tolist() == DAYS.tolist()
    short = {**study_69.accounts, "csi500_alstm_relaxed": "not trained here"}
    assert np.isnan(excess_lines(chart, short, "difference")[1][1]).all()


@pytest.mark.parametrize("study", STUDIES)
def test_the_chinese_page_has_no_english_word_of_the_tables(study):
    accounts = {name: account(i) for i, name in enumerate(portfolios_of(study))}
    accounts[portfolios_of(study)[0]] = "not trained here: add fused to `catalog`"
    tables = [(table, compose(table, accounts)) for table in STUDIES[study]]
    chart = relative_chart(DAYS, {"a": np.ones(len(DAYS))}, "CSI500: relative NAV, the 6 highest of 32")
    trading = (
        "stamp tax and transfer fee by date (known until 2024-12-31), commission 0.0250% a side, "
        "slippage 0.0500% a side, 500 million yuan, orders up to 10% of the day's amount, whole lots"
    )
    heads = ["portfolio", "signal", "weekdays", "decisions", "without_decision", "relaxed", "largest_violation"]
    walks = pd.DataFrame([["csi500_ai", "fused", 5, 80, 0, 19, "2e-14", 0.8]], columns=[*heads, "cpu_seconds"])
    study = PortfolioStudy(tables, {"excess csi500": chart}, accounts, backtests=walks, trading=trading)
    page = render_portfolio_study(replace(study, source="simulated", simulated=True), "zh")
    assert "<dd>模拟交易所</dd>" in page
    assert "中证 500：相对净值，32 个中最高的 6 个" in page
    assert "the 6 highest of 32" in render_portfolio_study(study)  # the figure keeps its title
    assert "报告的费用" in render_portfolio_study(replace(study, trading="the report's costs"), "zh")
    assert "请将 fused 加入 <code>catalog</code>" in page
    names = r"LSTM|ALSTM|Transformer|Calmar|catalog|fused|Portfolio|mg|csi500_ai"
    for text in re.findall(r">([^<>]+)<", page.partition("</style>")[2]):
        assert not re.search(r"[a-z]{4,}", re.sub(names, "", text)), text
    with pytest.raises(EvaluationError, match="lang was 'fr'"):
        render_portfolio_study(PortfolioStudy(tables), "fr")
