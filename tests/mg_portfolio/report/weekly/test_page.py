import datetime
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.report.published import published_value
from mg_portfolio.report.weekly.cards import dated_weights
from mg_portfolio.report.weekly.inputs import EXPECTED_PORTFOLIOS, NoTrade, Training
from mg_portfolio.report.weekly.names import (
    NAMES,
    check_name,
    industry_name,
    limit_name,
    name_of,
    portfolio_name,
)
from mg_portfolio.report.weekly.page import (
    DEEP,
    EXPECTED,
    HANDMADE,
    EvaluationRow,
    FactorSeries,
    PortfolioSeries,
    QualityRow,
    WeeklyReport,
    overview,
    render_weekly_report,
)
from mg_portfolio.report.weekly.texts import TEXTS

AS_OF = datetime.date(2023, 12, 15)
VOID = {"meta", "br", "path", "rect", "use"}


def trading_days(start="2022-06-01", end="2023-12-15"):
    days = np.arange(np.datetime64(start), np.datetime64(end) + 1)
    return days[np.is_busday(days)]


def factor(name, seed=0, **changes):
    days = trading_days()
    rng = np.random.default_rng(seed)
    fields = {
        "days": days,
        "long_short": 0.003 * rng.standard_normal(len(days)),
        "long_excess": 0.002 * rng.standard_normal(len(days)),
        "rebalance": "monthly" if name in HANDMADE else "weekly",
    }
    return FactorSeries(name, **{**fields, **changes})


def portfolio(name="csi500_turnover30", index="CSI 500", seed=0, **changes):
    days = trading_days()
    rng = np.random.default_rng(seed)
    benchmark = np.cumprod(1 + 0.01 * rng.standard_normal(len(days)))
    fields = {
        "days": days,
        "nav": benchmark * np.cumprod(1 + 0.003 * rng.standard_normal(len(days))),
        "benchmark_nav": benchmark,
        "rebalance_date": datetime.date(2023, 12, 11),
        "weights": {f"60{i:04d}.XSHG": 0.02 - 0.0002 * i for i in range(50)},
        "benchmark_weights": {f"60{i:04d}.XSHG": 0.02 for i in range(25, 75)},
        "stock_names": {"600000.XSHG": "浦发银行"},
        "industry": {"银行": 0.0123, "电子": -0.02},
        "styles": {"size": 0.15, "turnover": -0.3, "valuation": 0.0, "reversal": 0.1, "amount": 0.2, "beta": -0.1},
        "industry_limit": 0.02,
        "style_limits": {"size": 0.2},
        "turnover_planned": 0.30,
        "turnover_realised": 0.312,
        "binding": {"turnover": 0.04125, "industry[Banks]": 0.005},
        "return_per_score": 0.002,
        "relaxed": {"style[size]": 0.0132, "industry[银行]": 0.01},
        "unknown_inputs": {"style[size]": (870, 870), "industry": (12, 870)},
        "index_weights": ("2023-11-30", 7),
        "untraded": {"suspended": 2},
        "weekdays": {d: np.cumprod(1 + 0.003 * rng.standard_normal(len(days))) for d in ("mon", "tue", "fri")},
    }
    return PortfolioSeries(name, index, **{**fields, **changes})


def weekly(**changes):
    fields = {
        "as_of": AS_OF,
        "source": "simulated exchange",
        "factors": tuple(factor(name, seed) for seed, name in enumerate(EXPECTED)),
        "portfolios": (portfolio("csi500_ai"), portfolio("csi1000_ai", "CSI 1000", 1)),
        "quality": (QualityRow("trades", "volume_matches", "warn", "3 stocks differ", AS_OF),),
        "checks_run": 40,
        "days_late": {"trades": 1},
        "stocks_missing": {"daily_bars": 4},
        "evaluations": (
            EvaluationRow("down_vol_perc", "2013-02-01/2023-11-30", {"rank_ic_mean": 0.0612, "rank_ic_ir": 0.5}),
            EvaluationRow("fused", "2022-01-04/2023-11-30", {"rank_ic_mean": 0.08}),
        ),
    }
    return WeeklyReport(**{**fields, **changes})


class Page(HTMLParser):
    """Rows by their data attribute, ids, and whether tags close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.rows, self.row, self.text = [], [], {}, None, []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        for key in ("data-factor", "data-portfolio", "data-evaluation", "data-decay", "data-placebos"):
            if key in attrs:
                self.row = self.rows.setdefault((key, attrs[key]), [])
        if tag == "td" and self.row is not None:
            self.row.append([])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag
        if tag == "tr":
            self.row = None

    def handle_data(self, data):
        self.text.append(data)
        if self.row and data.strip() and self.open[-1] != "tr":
            self.row[-1].append(data.strip())


@pytest.fixture(scope="module")
def pages():
    report = weekly()
    return {lang: render_weekly_report(report, lang) for lang in ("zh", "en")}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_file_needs_nothing_but_itself(pages, lang):
    text = pages[lang]
    assert text.startswith("<!DOCTYPE html>")
    for forbidden in ("http:", "https:", "//", "<script", "<link", "<img", "<iframe", "@import", "src="):
        assert forbidden not in text, forbidden
    for target in re.findall(r'href="([^"]*)"', text) + re.findall(r"url\(([^)]*)\)", text):
        assert target.startswith("#")
        assert f'id="{target[1:]}"' in text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_is_well_formed_and_every_id_is_unique(pages, lang):
    page = Page(pages[lang])
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_factor_and_portfolio_has_its_row_and_charts(pages, lang):
    page = Page(pages[lang])
    for name in EXPECTED:
        row = page.rows["data-factor", name]
        assert row[0] == [name_of(name, lang)]
        assert len(row) == 9
        assert all(cell for cell in row), f"{name} has a blank cell"
        assert f'id="factor-{name}"' in pages[lang]
    assert [key[1] for key in page.rows if key[0] == "data-portfolio"] == list(EXPECTED_PORTFOLIOS)
    assert pages[lang].count("<svg ") == 2 * len(EXPECTED) + 5 * 2
    assert {f"figure-{n}" for n in range(1, 37)} | {f"table-{n}" for n in range(1, 5)} <= set(page.ids)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_figure_of_the_monitor_has_its_place(lang):
    """Also where its factor or portfolio is absent: the place says why."""
    page = Page(render_weekly_report(weekly(factors=(), portfolios=(), evaluations=()), lang))
    assert {f"figure-{n}" for n in range(1, 37)} <= set(page.ids)
    assert TEXTS[lang]["absent_reason"].format(reason=TEXTS[lang]["not_in_settings"]) in page.text


def compound(days, returns, start):
    inside = (days >= np.datetime64(start)) & (days <= np.datetime64(AS_OF)) & np.isfinite(returns)
    return f"{100 * (np.prod(1 + returns[inside]) - 1):.2f}%".replace("-0.00%", "0.00%")


def months_won(days, returns):
    months = [returns[days.astype("datetime64[M]") == np.datetime64(f"2023-{m:02d}")] for m in range(1, 13)]
    return f"{sum(np.prod(1 + m) > 1 for m in months)}/12"


def test_table_1_equals_hand_computed_numbers(pages):
    page = Page(pages["zh"])
    for seed, name in enumerate(EXPECTED):
        series = factor(name, seed)
        cells = [cell[0] for cell in page.rows["data-factor", name][1:]]
        expected = []
        for returns in (series.long_short, series.long_excess):
            expected += [compound(series.days, returns, day) for day in ("2023-12-11", "2023-12-01", "2023-01-01")]
            expected.append(months_won(series.days, returns))
        assert cells == expected, name


def test_table_2_equals_hand_computed_numbers(pages):
    series = portfolio("csi1000_ai", "CSI 1000", 1)
    relative = dict(zip(series.days, series.nav / series.benchmark_nav, strict=True))
    end = relative[np.datetime64("2023-12-15")]
    starts = ("2023-12-08", "2023-11-30", "2022-12-30")  # the trading day before each period
    expected = [f"{100 * (end / relative[np.datetime64(day)] - 1):.2f}%" for day in starts]
    # Fridays: week ends from 2022-12-30 on
    fridays = np.arange(np.datetime64("2022-12-30"), np.datetime64("2023-12-16"), 7)
    levels = np.array([relative[day] for day in fridays])
    expected.append(f"{(np.diff(levels) > 0).sum()}/50")
    row = Page(pages["en"]).rows["data-portfolio", "csi1000_ai"]
    assert [cell[0] for cell in row[1:]] == expected


def test_published_numbers_are_shown_for_the_same_period(pages):
    row = Page(pages["en"]).rows["data-factor", "multi_granularity_10d"]
    assert [cell[1] for cell in row[1:]] == [
        "pub. 1.52%", "pub. 1.66%", "pub. 64.39%", "pub. 12/12",
        "pub. 1.17%", "pub. 0.91%", "pub. 25.62%", "pub. 12/12",
    ]  # fmt: skip
    assert published_value("multi_granularity_10d", "long_short", period="2023-12-11/2023-12-15") == 0.0152
    assert all(len(cell) == 1 for cell in Page(pages["en"]).rows["data-factor", "fused"])  # never published weekly


def test_another_week_has_no_published_numbers():
    text = render_weekly_report(
        weekly(as_of=datetime.date(2023, 12, 8), evaluations=(), factors=(factor("down_vol_perc"),)), "en"
    )
    assert 'class="pub"' not in text


def test_evaluation_compares_only_equal_periods(pages):
    rows = Page(pages["en"]).rows
    assert rows["data-evaluation", "down_vol_perc"][2] == ["6.12%", "pub. 6.72%"]
    assert rows["data-evaluation", "down_vol_perc"][4] == ["0.50", "pub. 0.55"]
    assert rows["data-evaluation", "fused"][2] == ["8.00%"]  # published for 2017 to 2023, not for this period
    assert rows["data-evaluation", "fused"][3] == ["no data"]


def test_absent_factors_and_portfolios_say_why():
    untrained = {"en": "the model was not trained", "zh": "模型未训练"}
    report = weekly(
        factors=(factor("fused"), FactorSeries("gru_50_1_nn10", absent=untrained)),
        portfolios=(PortfolioSeries("csi500_ai", "CSI 500", absent="no weights this week"),),
        evaluations=(),
    )
    for lang in ("zh", "en"):
        page, texts = Page(render_weekly_report(report, lang)), TEXTS[lang]
        for name in EXPECTED:
            row = page.rows["data-factor", name]
            if name == "fused":
                assert len(row) == 9
                continue
            reason = untrained[lang] if name == "gru_50_1_nn10" else texts["not_supplied"]
            assert row == [[name_of(name, lang)], [texts["absent_reason"].format(reason=reason)]]
        assert page.rows["data-portfolio", "csi500_ai"][1] == [
            texts["absent_reason"].format(reason="no weights this week")
        ]
        assert page.rows["data-portfolio", "csi1000_ai"][1] == [
            texts["absent_reason"].format(reason=texts["not_in_settings"])
        ]


def test_the_no_trade_region_and_the_forecast_error_are_facts():
    bare = {"weights": {}, "benchmark_weights": {}, "industry": {}, "styles": {}, "weekdays": {}}
    active = portfolio("csi500_ai")
    realised = np.diff(np.log(active.nav / active.benchmark_nav)).std(ddof=1) * np.sqrt(252)
    used = portfolio("csi500_ai", no_trade=NoTrade(0.002, 61, 17, 12.34), forecast_error=0.0512, **bare)
    early = portfolio("csi1000_ai", "CSI 1000", no_trade=NoTrade(0.0015, 9), **bare)
    for lang, cost, unused, error in (
        ("en", "17 of 61 held stocks stayed inside (20 bp a side, earned over 12.3 days)",
         "15 bp a side, not used yet: fewer than 10 decisions completed", "forecast 5.12%, realised so far {:.2%}"),
        ("zh", "61 只持股中 17 只未交易（单边成本 20 基点，按持有 12.3 个交易日摊销）",
         "单边成本 15 基点，尚未计入：已完成的调仓不足 10 期", "预测 5.12%，历史实际 {:.2%}"),
    ):  # fmt: skip
        page = render_weekly_report(weekly(portfolios=(used, early), factors=()), lang)
        name = TEXTS[lang]["no_trade"]
        assert f"<dt>{name}</dt><dd>{cost}</dd>" in page
        assert f"<dt>{name}</dt><dd>{unused}</dd>" in page
        assert f"<dt>{TEXTS[lang]['forecast_error']}</dt><dd>{error.format(realised)}</dd>" in page
        assert page.count(TEXTS[lang]["forecast_error"]) == 1
        plain = render_weekly_report(weekly(factors=()), lang)
        assert name not in plain
        assert TEXTS[lang]["forecast_error"] not in plain


def test_a_portfolio_stands_beside_its_random_signals():
    series = portfolio("csi500_ai")
    relative = series.nav / series.benchmark_nav
    placebos = relative * np.exp(-np.outer([1, 2, 3], np.arange(len(relative))) * 1e-4)
    placebos[:, -3:] = np.nan  # not built for the last days yet
    bare = {"weights": {}, "benchmark_weights": {}, "industry": {}, "styles": {}, "weekdays": {}}
    both = (portfolio("csi500_ai", placebos=placebos, **bare), portfolio("csi1000_ai", "CSI 1000", **bare))
    report = weekly(portfolios=both, factors=())
    for lang in ("zh", "en"):
        html, texts = render_weekly_report(report, lang), TEXTS[lang]
        page = Page(html)
        assert "placebos-csi500_ai" in page.ids
        assert "placebos-csi1000_ai" not in page.ids
        assert html.count(texts["note_placebos"].replace("'", "&#39;")) == 1
        rows = [page.rows["data-placebos", f"csi500_ai {i}"] for i in range(3)]
        assert [row[0] for row in rows] == [[texts["whole_period"]], ["2022"], ["2023"]]
        assert rows[0][3] == [f"{100 * np.expm1(252 * 2e-4):.2f}%"]
        assert [row[5] for row in rows] == [["1/4"]] * 3
        assert texts["placebos"] in overview(report, lang)
    with pytest.raises(EvaluationError, match="csi500_ai: 9 values of each placebo on 403 days"):
        portfolio("csi500_ai", placebos=placebos[:, :9])


def test_missing_days_are_marked_and_missing_periods_named():
    gap = factor("down_vol_perc")
    returns = gap.long_short.copy()
    returns[-2] = np.nan
    stopped = factor("bigorder_ret", long_excess=np.where(gap.days < np.datetime64("2023-12-01"), 0.001, np.nan))
    page = Page(
        render_weekly_report(
            weekly(factors=(factor("down_vol_perc", long_short=returns), stopped), portfolios=()), "en"
        )
    )
    week, month, year = (page.rows["data-factor", "down_vol_perc"][column][0] for column in (1, 2, 3))
    assert [text.endswith("%*") for text in (week, month, year)] == [True, True, True]
    assert page.rows["data-factor", "bigorder_ret"][1][0].endswith("%")
    assert page.rows["data-factor", "bigorder_ret"][5][0] == "no data"
    assert page.rows["data-factor", "bigorder_ret"][6][0] == "no data"


def test_a_factor_of_ones_own_is_shown_too():
    own = factor("my_factor", label={"zh": "我的因子", "en": "My factor"})
    page = Page(render_weekly_report(weekly(factors=(own,), portfolios=(), evaluations=()), "zh"))
    assert page.rows["data-factor", "my_factor"][0] == ["我的因子"]


def test_the_portfolio_card_shows_the_last_rebalance(pages):
    for lang in ("zh", "en"):
        text = pages[lang]
        for shown in ("2023-12-11", "30.0%", "31.2%", "600000.XSHG 浦发银行", "+2.00%", "-2.00%"):
            assert shown in text, shown
        assert TEXTS[lang]["unknown"] in text  # the mean turnover was not given
        weights = text[text.index(TEXTS[lang]["chart_overweight"]) :]
        assert "600019.XSHG" in weights
        assert "600020.XSHG" not in weights  # the 21st overweight


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("csi500_turnover30", "CSI 500 enhanced (30% turnover)"),
        ("csi500_ai", "CSI 500 enhanced (AI)"),
        ("csi500_mine", "CSI 500 enhanced (mine)"),
        ("mine", "CSI 500 enhanced (mine)"),
        ("CSI 500", "CSI 500"),
    ],
)
def test_a_portfolio_is_named_by_its_index_and_variant(name, shown):
    assert portfolio_name(name, "CSI 500", "en") == shown


@pytest.mark.parametrize(
    ("lang", "lines"),
    [
        ("en", ["turnover, for 1% of weight more", "41.6 bp a year", "industry: Banks, for 1% of weight more",
                "5.0 bp a year", "style: size", "0.013 std", "industry: Banks", "1% of weight", "suspended"]),
        ("zh", ["换手，每放宽 1% 权重", "41.6 基点/年", "行业：银行，每放宽 1% 权重", "5.0 基点/年", "风格：市值",
                "0.013 倍标准差", "行业：银行", "1% 权重", "停牌"]),
    ],
)  # fmt: skip
def test_limits_have_names_and_units_of_the_language(pages, lang, lines):
    """0.04125 of score by 1% of turnover, at 0.002 a unit of score and 50.4 rebalances a year, is 41.58 bp."""
    text = Page(pages[lang]).text
    for line in lines:
        assert line in text, line


def test_without_a_slope_the_price_is_in_score():
    one = portfolio(return_per_score=None, weekdays={})
    text = render_weekly_report(weekly(portfolios=(one,), factors=(), evaluations=()), "en")
    assert "score 0.0413" in text
    assert "bp a year<" not in text


@pytest.mark.parametrize(
    ("gains", "lang", "up"),
    [("", "zh", "#c0392b"), ("", "en", "#1e8449"), ("red", "en", "#c0392b"), ("green", "zh", "#1e8449")],
)
def test_gains_have_the_colour_of_the_language_or_setting(gains, lang, up):
    text = render_weekly_report(weekly(gains=gains, factors=(), portfolios=(), evaluations=()), lang)
    down = {"#c0392b": "#1e8449", "#1e8449": "#c0392b"}[up]
    assert f"--up: {up}; --down: {down};" in text


def test_the_relative_strength_is_drawn_where_it_is_given():
    days = trading_days("2023-11-01")
    flat, rising = np.zeros(len(days)), np.full(len(days), 0.01)
    drawn = []
    for relative in (np.array([]), rising):
        one = factor("fused", days=days, long_short=flat, long_excess=flat, relative=relative)
        text = render_weekly_report(weekly(factors=(one,), portfolios=(), evaluations=()), "en")
        drawn.append(text[text.index('id="line-fused"') : text.index('id="bars-fused"')])
    assert drawn[0] != drawn[1]


def test_seeds_and_the_spread_over_weekdays_are_shown(pages):
    one = factor("fused", trained=(Training("hf_gru", "2023H2", {0: 0.051, 1: 0.04}), Training("lstm", "2023H2", {})))
    row = EvaluationRow("fused", "2022-01-04/2023-11-30", {"rank_ic_mean": 0.08}, {"rank_ic_mean": 0.0031})
    page = Page(render_weekly_report(weekly(factors=(one,), evaluations=(row,)), "en"))
    assert "High-frequency GRU: trained for 2023H2, seeds 2, validation RankIC 0.040 to 0.051" in page.text
    assert page.rows["data-evaluation", "fused"][2] == ["8.00%", "± 0.31%"]
    assert "Excess this year, by weekday" in page.text
    assert "按调仓日（决策星期）的相对净值" in pages["zh"]


def test_the_weekdays_say_from_which_day_they_are():
    """Beside the portfolio's own year, which begins earlier, their range would contradict it."""
    days = trading_days()
    paths = {day: np.where(days < np.datetime64("2023-03-06"), np.nan, 1.0) for day in ("mon", "fri")}
    text = render_weekly_report(weekly(portfolios=(portfolio(weekdays=paths),), factors=(), evaluations=()), "en")
    assert "0.00% to 0.00%, since 2023-03-06" in text


def test_small_grey_figures_are_explained_where_there_are_some(pages):
    note = "Small grey figures"
    assert note in pages["en"]  # the monitor printed figures of this very week
    assert note not in render_weekly_report(weekly(as_of=datetime.date(2023, 12, 8)), "en")


def test_the_decay_is_split_at_the_end_of_what_was_published():
    """Series 72 prints figures of down_vol_perc until 2023-11-30, the weekly until 2023-12-15."""
    days = trading_days(end="2024-01-31")
    before = days <= np.datetime64("2023-12-15")
    one = factor(
        "down_vol_perc", days=days, long_short=np.where(before, 0.001, -0.0005), long_excess=np.full(len(days), 0.001),
        rank_ic=np.where(before, 0.06, 0.01),
    )  # fmt: skip
    late = weekly(as_of=datetime.date(2024, 1, 31), factors=(one,), portfolios=(), evaluations=())
    row = Page(render_weekly_report(late, "en")).rows["data-decay", "down_vol_perc"]
    counts = [str(before.sum()), str((~before).sum())]
    annual = [f"{100 * ((1 + r) ** 252 - 1):.2f}%" for r in (0.001, -0.0005)]
    assert [c[0] for c in row] == ["Downside volatility share", "2023-12-15", *counts, "6.00%", "1.00%", *annual]
    assert TEXTS["en"]["none_after"] in render_weekly_report(weekly(factors=(), portfolios=()), "en")


def test_the_overview_has_the_tables_and_portfolios_as_markdown():
    shown = overview(weekly(factors=(factor("fused"),)), "zh")
    assert shown[TEXTS["zh"]["table1"]].splitlines()[2].startswith("| 全频段融合因子 | ")
    assert len(shown[TEXTS["zh"]["table2"]].splitlines()) == 4
    assert sum(text.startswith("![](data:image/png") for text in shown.values()) == 2


def test_names_go_from_either_language_into_the_other():
    assert (industry_name("Banks", "zh"), industry_name("银行", "en")) == ("银行", "Banks")
    assert (industry_name("Banks", "en"), industry_name("银行", "zh")) == ("Banks", "银行")
    assert industry_name("J66", "zh") == "J66"
    assert limit_name("stock_limit", "zh") == "个股偏离"
    assert name_of("30min_biagru_10d", "zh") == "30 分钟双向 AGRU（10 日标签）"
    assert (check_name("size_band", "en"), check_name("mine", "zh")) == ("size band", "mine")


def test_active_weights_are_ordered():
    active = portfolio().active_weights()
    assert active[0] == ("600000.XSHG", 0.02)
    assert active[-1][1] == pytest.approx(-0.02)
    assert len(active) == 75
    assert [w for _, w in active] == sorted((w for _, w in active), reverse=True)


def test_quality_is_reported_in_each_state():
    bare = {"factors": (), "portfolios": (), "evaluations": (), "days_late": {}, "stocks_missing": {}}
    texts = TEXTS["en"]
    unknown = render_weekly_report(weekly(**bare, quality=(), checks_run=None), "en")
    assert texts["checks_unknown"] in unknown
    assert texts["all_passed"] not in unknown
    clean = render_weekly_report(weekly(**bare, quality=(), checks_run=12), "en")
    assert "12 checks ran this week: 0 failed, 0 warned." in clean
    assert texts["all_passed"] in clean
    assert texts["none_late"] in clean
    failed = (QualityRow("b", "warned", "warn"), QualityRow("a", "failed", "error", "x"), QualityRow("a", "ok", "pass"))
    late, lacking = {"trades": 2, "bars": 1, "orders": 0}, {"labels": 4, "bars": 9, "ticks": 4}
    text = render_weekly_report(
        weekly(**{**bare, "days_late": late, "stocks_missing": lacking}, quality=failed, checks_run=12), "en"
    )
    assert "12 checks ran this week: 1 failed, 1 warned." in text
    assert text.index(">failed<") < text.index(">warned<") < text.index(">ok<")
    assert "<li>Trading days late: 2 (trades)</li><li>Trading days late: 1 (bars)</li>" in text
    assert "<li>Stocks missing: 9 (bars)</li><li>Stocks missing: 4 (labels, ticks)</li>" in text
    assert "orders)" not in text


def test_what_users_write_is_escaped():
    nasty = "<script>alert(1)</script>"
    report = weekly(
        source=nasty,
        notice={"en": nasty},
        factors=(FactorSeries("fused", absent=nasty),),
        portfolios=(portfolio(stock_names={"600000.XSHG": nasty}, untraded={nasty: 1}),),
        quality=(QualityRow(nasty, nasty, "error", nasty),),
    )
    text = render_weekly_report(report, "en")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_rendering_twice_gives_the_same_file():
    report = weekly(
        factors=(factor("fused"),), portfolios=(portfolio(),), generated=datetime.datetime(2023, 12, 15, 18)
    )
    assert render_weekly_report(report, "zh") == render_weekly_report(report, "zh")


def test_both_languages_have_the_same_texts():
    assert TEXTS["zh"].keys() == TEXTS["en"].keys()
    for lang in TEXTS:
        assert set(EXPECTED) <= NAMES[lang].keys()
    for key in TEXTS["zh"]:
        holes = [sorted(set(re.findall(r"\{(\w+)\}", TEXTS[lang][key]))) for lang in ("zh", "en")]
        if key != "month":
            assert holes[0] == holes[1], key


def test_the_monitor_follows_ten_and_six():
    assert (len(HANDMADE), len(DEEP), len(set(EXPECTED))) == (10, 6, 19)
    for name in (*HANDMADE, *DEEP):
        assert published_value(name, "long_short", period="2023-01-01/2023-12-15") is not None


def test_errors_name_the_series():
    with pytest.raises(EvaluationError, match="lang was 'fr'"):
        render_weekly_report(weekly(), "fr")
    with pytest.raises(EvaluationError, match="factor fused has no finite return; give the reason in absent="):
        FactorSeries("fused")
    with pytest.raises(EvaluationError, match="factor fused: 3 days, 2 long-short"):
        FactorSeries("fused", trading_days()[:3], np.ones(2), np.ones(3))
    with pytest.raises(EvaluationError, match="factor fused is given twice"):
        weekly(factors=(factor("fused"), factor("fused")))
    nav = portfolio().nav.copy()
    nav[5] = np.nan
    with pytest.raises(EvaluationError, match="portfolio csi500_turnover30: NAV of 2022-06-08 was nan"):
        portfolio(nav=nav)
    with pytest.raises(EvaluationError, match="gains was 'blue'"):
        weekly(gains="blue")
    with pytest.raises(EvaluationError, match="factor fused: 2 relative returns of"):
        factor("fused", relative=np.ones(2))
    with pytest.raises(EvaluationError, match="portfolio csi500_turnover30: of 403 days the path of mon has 3"):
        portfolio(weekdays={"mon": np.ones(3)})
    with pytest.raises(EvaluationError, match="severity was 'fatal'"):
        QualityRow("trades", "x", "fatal")


@pytest.mark.parametrize(
    ("lang", "lines"),
    [
        (
            "en",
            (
                "style: size",
                "unknown of all 870 stocks: holds nothing",
                "unknown of 12 of 870 stocks",
                "2023-11-30, 7 trading days old",
            ),
        ),
        (
            "zh",
            ("870 只股票全部缺失，约束不起作用", "870 只股票中 12 只缺失", "2023-11-30（决策时 7 个交易日前）"),
        ),
    ],
)
def test_limits_without_input_and_old_weights_are_shown(pages, lang, lines):
    for line in lines:
        assert line in pages[lang], line


@pytest.mark.parametrize(
    ("age", "shown"), [(0, "2023-11-30"), (1, "2023-11-30, 1 trading day old"), (2, "2023-11-30, 2 trading days old")]
)
def test_an_age_of_index_weights_is_said_in_plain_words(age, shown):
    assert dated_weights(portfolio(index_weights=("2023-11-30", age)), TEXTS["en"]) == shown
