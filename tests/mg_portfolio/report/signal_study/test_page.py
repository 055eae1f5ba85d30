"""The signal study: layouts against the printed tables, figures against plain pandas, and the page."""

import html.parser
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.signal_study import correlation_chart, published_comparison_chart
from mg_portfolio.evaluation.cases import EXECUTIONS
from mg_portfolio.evaluation.evaluate import evaluate
from mg_portfolio.report.published import published_rows
from mg_portfolio.report.signal_study.cell_text import Cells, number, printed
from mg_portfolio.report.signal_study.chart_layouts import CHARTS, BarChart, LineChart
from mg_portfolio.report.signal_study.charts import chart_lines, chart_series, draw_chart
from mg_portfolio.report.signal_study.layouts import (
    COMMON_CHARTS,
    COMMON_CORRELATIONS,
    COMMON_FACTORS,
    ONE_TRACK,
    PAIR_CORRELATIONS,
    PERIODS,
    RANK_IC_GRID,
    SIGNAL_FIGURES,
    SIGNAL_TABLES,
    UNIVERSE_SUBJECTS,
    YTD_2023,
    MetricColumn,
    report_of,
)
from mg_portfolio.report.signal_study.measures import (
    FEW_DAYS,
    FEW_STOCKS,
    NO_UNIVERSE,
    NOT_TRAINED,
    SHORT_PERIOD,
    SMALL_UNIVERSE,
    measure_signals,
)
from mg_portfolio.report.signal_study.page import (
    SignalStudy,
    overview_markdown,
    render_signal_study,
    signal_table_markdown,
)
from mg_portfolio.report.signal_study.tables import CURVE_COLUMNS, SIGNALS, STUDY_COLUMNS, study_cells, study_curves
from mg_portfolio.report.signal_study.texts import CHART_NAMES, METRICS, MODELS, REPORTS, TABLE_NAMES, TEXTS

LAYOUT = {layout.key: layout for layout in SIGNAL_TABLES}
DAYS = np.busday_offset("2017-03-01", np.arange(70))


@pytest.fixture(scope="module")
def market():
    """70 days of 60 stocks with gaps: prices, universe, and a signal that knows something."""
    rng = np.random.default_rng(11)
    close = 10 * np.exp(np.cumsum(rng.normal(0, 0.02, (70, 60)), axis=0))
    close[rng.random(close.shape) < 0.03] = np.nan
    prices = {"close": close, "vwap": close * np.exp(rng.normal(0, 0.005, close.shape))}
    prices["open"] = close * np.exp(rng.normal(0, 0.01, close.shape))
    tradable = rng.random(close.shape) < 0.95
    later = pd.DataFrame(prices["vwap"]).ffill().shift(-7) / prices["vwap"] - 1
    signal = later.to_numpy() + rng.normal(0, 0.1, close.shape)
    signal[:8] = np.nan
    return prices, tradable, signal


def measure(subject, signal, prices, tradable, days):
    return measure_signals({subject: signal}, prices, tradable, days).get(subject)


def naive_rank_ic(signal, price, tradable, every, delay):
    """Mean over tracks of the mean daily Spearman correlation, day by day."""
    price = pd.DataFrame(price)
    later = (price.ffill().shift(-every - delay) / price.shift(-delay) - 1).to_numpy(copy=True)
    later[len(later) - every - delay :] = np.nan
    daily = []
    for d in range(len(signal)):
        both = tradable[d] & np.isfinite(signal[d]) & np.isfinite(later[d])
        daily.append(spearmanr(signal[d][both], later[d][both])[0] if both.sum() >= 30 else np.nan)
    return np.mean([np.nanmean(daily[track::every]) for track in range(every)])


@pytest.mark.parametrize("layout", SIGNAL_TABLES, ids=lambda x: x.key)
def test_a_signal_table_is_the_printed_table(layout):
    """Every printed number has a cell, every cell a number."""
    rows = published_rows(table=layout.table, report=layout.report)
    placed = {(r.subject, c.metric, c.period or PERIODS[layout.report]) for r in layout.rows for c in layout.columns}
    assert placed >= set(zip(rows["subject"], rows["metric"], rows["period"], strict=True))
    if layout.key not in ("haitong_88_table_7", "haitong_88_table_2"):  # rows of tables 1 and 6, and of table 4
        assert len(placed) == len(rows)
    assert all(layout.published(r.subject, c) is not None for r in layout.rows for c in layout.columns)


def test_repeated_rows_have_the_printed_numbers():
    """Haitong series 88, table 7: the lines of the daily model and of the ensemble."""
    table = LAYOUT["haitong_88_table_7"]
    assert [table.published("daily_gru_5d", c) for c in table.columns][:3] == [0.118, 7.54, 0.87]
    assert table.published("output_ensemble2_gru_5d", table.columns[-1]) == 0.253
    assert table.published("mrl_daily_30min_5d", table.columns[-1]) == 0.211
    years = LAYOUT["haitong_88_table_2"].columns
    assert [LAYOUT["haitong_88_table_2"].published("30min_gru_10d", c) for c in years][5:] == [0.319, 0.165, 0.273]


def test_every_text_is_in_both_languages():
    for words in (CHART_NAMES, METRICS, MODELS, REPORTS, TABLE_NAMES, TEXTS):
        assert set(words["en"]) == set(words["zh"])
    assert set(CHART_NAMES["en"]) == {chart.key for chart in CHARTS}
    for layout in SIGNAL_TABLES:
        assert layout.key in TABLE_NAMES["en"]
        assert {r.label for r in layout.rows} | {r.group for r in layout.rows if r.group} <= set(MODELS["en"])
        assert {h for c in layout.columns for h in (c.head, c.span) if h} <= set(METRICS["en"])


@pytest.mark.parametrize(
    ("subject", "every", "price"), [("fused", 5, "vwap"), ("daily_gru_5d", 5, "vwap"), ("alstm", 10, "close")]
)
def test_rank_ic_is_the_naive_one_of_the_reports_conditions(market, subject, every, price):
    prices, tradable, signal = market
    found = measure(subject, signal, prices, tradable, DAYS)
    expected = naive_rank_ic(signal[8:], prices[price][8:], tradable[8:], every, 1)
    assert found.values["rank_ic_mean"] == pytest.approx(expected, abs=1e-12)
    assert (found.first, found.last, found.days) == (DAYS[8], DAYS[-1], 62)


@pytest.mark.parametrize("subject", ["fused", "daily_gru_5d", "nothing_published"])
def test_signals_are_cut_in_ten_layers(market, subject):
    prices, tradable, signal = market
    own = measure(subject, signal, prices, tradable, DAYS).values
    same = evaluate(signal[8:], prices["vwap"][8:], tradable[8:], DAYS[8:], groups=10).summary
    assert own["top_excess_annual"] == pytest.approx(same["top_excess_annual"], abs=1e-12)


def test_series_72_shows_its_own_track(market):
    """The track of 2017-01-04 goes on by the calendar: 2017-03-13, the signal's first day, is its session 48."""
    prices, tradable, signal = market
    calendar = np.busday_offset("2017-01-04", np.arange(200), roll="forward")
    own = measure_signals({"fused": signal}, prices, tradable, DAYS, calendar=calendar)["fused"]
    tracks = evaluate(signal[8:], prices["vwap"][8:], tradable[8:], DAYS[8:]).by_track
    assert (DAYS[8], calendar[48]) == (np.datetime64("2017-03-13"), np.datetime64("2017-03-13"))
    assert own.one_track["rank_ic_mean"] == pytest.approx(tracks.loc[(-48) % 5, "rank_ic_mean"], abs=1e-12)
    assert own.values["rank_ic_mean"] == pytest.approx(tracks["rank_ic_mean"].mean(), abs=1e-12)
    assert own.spread["rank_ic_mean"] == pytest.approx(tracks["rank_ic_mean"].std(), abs=1e-12)
    other = measure("alstm", signal, prices, tradable, DAYS)
    assert not other.one_track


def test_table_3_is_the_naive_rank_ic_of_each_cycle_and_price(market):
    prices, tradable, signal = market
    found = measure("60min_gru_10d", signal, prices, tradable, DAYS).values
    for metric, how in RANK_IC_GRID.items():
        price, delay = EXECUTIONS[how.execution]
        expected = naive_rank_ic(signal[8:], prices[price][8:], tradable[8:], how.every, delay)
        assert found[metric] == pytest.approx(expected, abs=1e-12), metric
    assert found["rank_ic_mean_weekly_t1_vwap"] == pytest.approx(found["rank_ic_mean"], abs=1e-12)
    assert len({round(found[m], 6) for m in RANK_IC_GRID}) == len(RANK_IC_GRID)
    assert not set(RANK_IC_GRID) & set(measure("fused", signal, prices, tradable, DAYS).values)


def test_a_signal_is_tested_on_the_published_days_if_it_can(market):
    prices, tradable, signal = market
    for shift, first, last in (
        ("2017-01-04", 8, 69),
        ("2016-12-05", 22, 69),
        ("2023-10-02", 8, 43),
        ("2024-03-01", 8, 69),
    ):
        days = np.busday_offset(shift, np.arange(70), roll="forward")
        own = measure("fused", signal, prices, tradable, days)
        assert (own.first, own.last, own.days) == (days[first], days[last], last - first + 1), shift
    assert measure("fused", np.where(np.arange(70)[:, None] < 45, np.nan, signal), prices, tradable, DAYS) is None


def test_the_order_of_stocks_changes_nothing(market):
    prices, tradable, signal = market
    order = np.random.default_rng(0).permutation(60)
    ours = measure("fused", signal, prices, tradable, DAYS).values
    again = measure("fused", signal[:, order], {k: v[:, order] for k, v in prices.items()}, tradable[:, order], DAYS)
    assert again.values == pytest.approx(ours, abs=1e-12, nan_ok=True)


def test_signals_tested_together_have_the_figures_of_each_alone(market):
    prices, tradable, signal = market
    late = np.where(np.arange(70)[:, None] < 20, np.nan, signal)
    signals = {"fused": signal, "alstm": -signal, "hf_gru": late, "daily_gru_5d": late, "few": signal}
    signals["few"] = np.where(np.arange(70)[:, None] < 50, np.nan, signal)
    for workers in (1, 2):
        found = measure_signals(signals, prices, tradable, DAYS, workers)
        assert list(found) == ["fused", "alstm", "hf_gru", "daily_gru_5d"]
        for name, own in found.items():
            alone = measure(name, signals[name], prices, tradable, DAYS)
            assert own.values == pytest.approx(alone.values, abs=0, nan_ok=True)
            pd.testing.assert_frame_equal(own.curves, alone.curves, check_exact=True)
            assert (own.first, own.days) == (alone.first, alone.days)
    assert found["hf_gru"].first == DAYS[20]


NAMES = ("fused", "daily_gru_5d", "alstm", "lf_weekly_only", "temporal_transformer")


@pytest.fixture(scope="module")
def found(market):
    prices, tradable, signal = market
    return {n: measure(n, -signal if n == "temporal_transformer" else signal, prices, tradable, DAYS) for n in NAMES}


@pytest.fixture(scope="module")
def cells(found):
    return study_cells(found, (*NAMES, "lf_multitask"))


@pytest.fixture(scope="module")
def curves(found):
    return study_curves(found)


def test_a_cell_without_a_figure_says_why(cells):
    assert list(cells.columns) == list(STUDY_COLUMNS)
    overview = cells.loc[cells["table"] == SIGNALS, "subject"].unique().tolist()
    assert overview == [
        "fused",
        "lf_multitask",
        "daily_gru_5d",
        "alstm",
        "temporal_transformer",
        "lf_weekly_only",
    ]  # by report
    assert (cells["ours"].isna() == (cells["why"] != "")).all()
    reason = cells.groupby("subject")["why"].agg(set)
    assert reason["hf_gru"] == {NOT_TRAINED}
    assert reason["lf_multitask"] == {FEW_DAYS}
    assert reason["daily_gru_5d"] == {"", FEW_STOCKS, SHORT_PERIOD}  # of 60 stocks a top 100 is no choice
    few = cells[cells["why"] == FEW_STOCKS]["metric"]
    assert set(few) == {"top100_excess_gross", "top100_excess_net"}
    printed_tables = cells["table"].isin([layout.table for layout in SIGNAL_TABLES])
    assert cells.loc[printed_tables, "published"].notna().all()


def test_a_cell_is_the_figure_of_its_signal(cells, market):
    prices, tradable, signal = market
    own = measure("alstm", signal, prices, tradable, DAYS).values
    row = cells[(cells["table"] == "chart 22") & (cells["subject"] == "alstm")].set_index("metric")
    for column in LAYOUT["huatai_69_chart_22"].columns:
        assert row.loc[column.metric, "ours"] == own[column.metric]
    assert row.loc["rank_ic_mean", "published"] == 0.12


def test_a_year_is_the_evaluation_of_its_days(market):
    prices, tradable, signal = market
    days = np.busday_offset("2023-06-01", np.arange(70), roll="forward")  # 43 of them before August
    own = measure("daily_gru_5d", signal, prices, tradable, days)
    year = MetricColumn("top10pct_excess_gross", "ytd_2023", "", YTD_2023)
    part, why = own.at(year)
    held = evaluate(signal[8:], prices["vwap"][8:], tradable[8:], days[8:])
    nav = held.portfolios.gross[:, held.portfolios.index("top10pct")]
    nav = nav / held.portfolios.gross[:, held.portfolios.index("universe")]
    ends = int((days[8:] <= np.datetime64("2023-07-31")).sum()) - 1
    assert why == ""
    assert (part.first, part.last, part.days) == (days[8], days[8 + ends], ends + 1)
    assert part.values["top10pct_excess_gross"] == pytest.approx((nav[:, ends] - 1).mean(), abs=1e-12)
    assert own.at(MetricColumn("top10pct_excess_gross", "2022", "", "2022"))[1] == SHORT_PERIOD


def test_universes_are_evaluated_within_their_stocks(market):
    prices, tradable, signal = market
    name = UNIVERSE_SUBJECTS[0]
    inside = np.broadcast_to(np.arange(60) < 45, tradable.shape)
    small = np.broadcast_to(np.arange(60) < 20, tradable.shape)
    universes = {"all": None, "csi500": inside, "csi300": small}
    own = measure_signals({name: signal}, prices, tradable, DAYS, universes=universes)[name]
    alone = measure(name, signal, prices, tradable & inside, DAYS)
    for column, expected, why in (
        (MetricColumn("rank_ic_mean", "csi500", "", "", "csi500"), alone.values["rank_ic_mean"], ""),
        (MetricColumn("rank_ic_mean", "all"), own.values["rank_ic_mean"], ""),
        (MetricColumn("rank_ic_mean", "csi300", "", "", "csi300"), np.nan, SMALL_UNIVERSE),
        (MetricColumn("rank_ic_mean", "cni2000", "", "", "cni2000"), None, NO_UNIVERSE),
    ):
        part, reason = own.at(column)
        assert reason == why
        if expected is not None:
            assert part.values["rank_ic_mean"] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    rows = study_cells({name: own}, (name,))
    rows = rows[(rows["table"] == "figure 11") & (rows["subject"] == name)].set_index("universe")
    assert rows.loc["csi500", "ours"] == alone.values["rank_ic_mean"]
    assert rows.loc[["csi300", "cni2000"], "why"].tolist() == [SMALL_UNIVERSE, NO_UNIVERSE]


def test_lines_of_a_chart_are_the_tables_curves(curves, found, market):
    prices, tradable, signal = market
    assert list(curves.columns) == list(CURVE_COLUMNS)
    charts = {chart.key: chart for chart in CHARTS}
    held = evaluate(signal[8:], prices["vwap"][8:], tradable[8:], DAYS[8:])
    days, lines = chart_lines(charts["huatai_72_chart_59"], curves)
    assert days.tolist() == DAYS[8:].tolist()
    np.testing.assert_allclose(lines[0], held.relative_nav("layer1"), atol=1e-12)
    assert all(np.isnan(line).all() for line in lines[1:])  # not trained
    days, lines = chart_lines(charts["huatai_72_chart_60"], curves)
    np.testing.assert_allclose(lines[0], np.nancumsum(held.rank_ic) / 5, atol=1e-12)
    days, lines = chart_lines(charts["huatai_69_chart_27"], curves)
    own = curves[curves["subject"] == "temporal_transformer"]
    np.testing.assert_array_equal(lines[2], own["top_relative_nav"])
    drawn = draw_chart(charts["huatai_69_chart_27"], [], curves, "en").axes[0].lines[1:]
    assert [line.get_ydata()[-1] for line in drawn] == [lines[1][-1], lines[2][-1]]


def test_a_difference_needs_both_and_a_period_begins_at_one(curves):
    charts = {chart.key: chart for chart in CHARTS}
    chart = charts["huatai_69_chart_36"]
    assert draw_chart(chart, [], curves, "en") is None
    both = curves[curves["subject"].isin(["alstm", "fused"])]
    both = both.replace({"subject": {"alstm": "attention_ensemble", "fused": "mtl_mlp"}})
    days, (line,) = chart_lines(chart, both)
    a, b = (both.loc[both["subject"] == n, "cumulative_rank_ic"].to_numpy() for n in ("attention_ensemble", "mtl_mlp"))
    np.testing.assert_allclose(line, a - b)
    dates = np.busday_offset("2022-12-28", np.arange(6), roll="forward").astype(str)
    nav = pd.DataFrame({"subject": UNIVERSE_SUBJECTS[0], "date": dates, "top10pct_relative_nav": [1, 2, 4, 5, 6, 8.0]})
    days, lines = chart_lines(charts["haitong_88_figure_10"], nav)
    assert days[0] == np.datetime64("2022-12-30")
    np.testing.assert_allclose(lines[0], [1, 1.25, 1.5, 2])


@pytest.mark.parametrize("chart", [c for c in CHARTS if isinstance(c, BarChart)], ids=lambda c: c.key)
def test_bars_of_a_chart_are_the_tables_cells(chart, cells):
    layout = {(x.report, x.table): x for x in (*SIGNAL_TABLES, *SIGNAL_FIGURES)}[chart.report, chart.table]
    made_up = cells.assign(ours=np.arange(len(cells)) / 100.0, why="")
    series = chart_series(chart, Cells(made_up))
    place = {
        (r.subject, r.metric, r.period, r.universe): r.ours
        for r in made_up[(made_up["report"] == chart.report) & (made_up["table"] == chart.table)].itertuples()
    }
    expected = [
        [place[s, c.metric, c.period or PERIODS[chart.report], c.universe] for s, c in one.cells]
        for one in chart.series
    ]
    ax = draw_chart(chart, series, pd.DataFrame(), "en").axes[0]
    size = "get_width" if len(chart.categories) > 8 else "get_height"
    assert [[getattr(bar, size)() for bar in bars] for bars in ax.containers] == expected
    assert {s for one in chart.series for s, _ in one.cells} <= {row.subject for row in layout.rows}


class Page(html.parser.HTMLParser):
    """Cells of every table of a report by subject, and what the page would fetch."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.fetched, self._row, self._table, self._inside = {}, [], None, None, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.fetched += [v for k, v in attrs if k in ("src", "href", "xlink:href") and not v.startswith(("#", "data:"))]
        if tag == "table":
            self._table = given.get("data-table")
        if tag == "tr" and self._table:
            self._row = self.tables.setdefault(self._table, [])
            self._row.append([])
        if tag == "td" and self._table:
            self._row[-1].append("")

        self._inside = tag == "td" or self._inside

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "td"

    def handle_data(self, data):
        if self._table and self._inside:
            self._row[-1][-1] += data.strip()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_shows_every_item_and_untrained_models(cells, curves, lang):
    names = ("fused", "lf_multitask", *COMMON_FACTORS)
    study = SignalStudy(cells, curves, names, np.eye(7), 62, "simulated", "a lake", simulated=True)
    text = render_signal_study(study, lang)
    assert f"<dd>{'simulated exchange' if lang == 'en' else '模拟交易所'}</dd>" in text
    assert len(re.findall(rf">\s*{'reversal' if lang == 'en' else '反转'}\s*<", text)) >= 2  # on the map, in the table
    page = Page(text)
    assert page.fetched == []
    assert "<script" not in text
    assert TEXTS[lang]["simulated"] in text
    assert TEXTS[lang]["universe"].replace("'", "&#39;") in text
    assert set(page.tables) == {layout.key for layout in SIGNAL_TABLES} | {chart.key for chart in CHARTS}
    assert {x.key for x in (*SIGNAL_TABLES, *CHARTS)} <= set(re.findall(r'<article id="(\w+)"', text))
    for layout in SIGNAL_TABLES:
        rows = iter(r for r in page.tables[layout.key] if len(r) > 1)  # neither heads nor group lines
        for row in layout.rows:
            state = cells[(cells["table"] == layout.table) & (cells["report"] == layout.report)]
            state = state[state["subject"] == row.subject]
            ours = next(rows)
            if (state["why"] == "").any():
                assert len(ours) == 2 + len(layout.columns)
                assert all(ours)  # a figure or the mark of a note, never a blank
            else:
                assert len(ours) == 3
                want = f"add{row.subject}tocatalog" if lang == "en" else f"将{row.subject}加入catalog"
                assert (want if state["why"].iloc[0] == NOT_TRAINED else "30") in ours[2].replace(" ", "")
            assert next(rows)[1:] == [printed(c.metric, layout.published(row.subject, c)) for c in layout.columns]
            if layout.report in ONE_TRACK and len(ours) > 3:
                assert ours[2] == number("rank_ic_mean", state["one_track"].iloc[0])
                assert next(rows)[1].startswith(number("rank_ic_mean", state["ours"].iloc[0]))
        assert next(rows, None) is None
    assert TEXTS[lang]["short"] in text  # 62 days
    for subject in ("hf_gru", "mtl_mlp_20d"):
        assert f"<li><code>{subject}</code></li>" in text
    assert "<li><code>fused</code></li>" not in text
    lines = dict(re.findall(r'<tr id="huatai_72_(chart_\d+)">(.*?)</tr>', text))
    assert list(lines) == ["chart_49", "chart_56", "chart_61"]
    assert "<code>hf_gru</code>" in lines["chart_49"].partition("absent")[2]  # not among the correlations
    assert lines["chart_61"].count("<td>0.00</td>") == len(COMMON_FACTORS)
    assert "-0.02" in text  # fused with cap, chart 61
    assert text.partition('id="huatai_69_chart_32"')[2].count("</tr>") > 7


def test_no_notice_on_a_real_market_and_a_page_of_an_empty_lake():
    empty = study_cells({}, ())
    text = render_signal_study(SignalStudy(empty))
    assert TEXTS["en"]["simulated"] not in text
    assert TEXTS["en"]["no_correlations"] in text
    assert TEXTS["en"]["short"] not in text
    assert text.count(TEXTS["en"]["ours_none"].replace("'", "&#39;")) == len(SIGNAL_TABLES)
    assert "<svg" not in text  # no empty picture
    for chart in CHARTS:
        names = (
            [r.subject for r in chart.rows] if isinstance(chart, LineChart) else [s for s, _ in chart.series[0].cells]
        )
        block = text.partition(f'<article id="{chart.key}"')[2].partition("</article>")[0]
        assert f"<code>{names[0]}</code>" in block
    with pytest.raises(EvaluationError, match="lang was 'fr'"):
        render_signal_study(SignalStudy(empty), "fr")


def test_markdown_has_ours_and_the_printed_line(cells):
    lines = signal_table_markdown(cells, LAYOUT["huatai_72_chart_57"]).splitlines()
    assert len(lines) == 2 + 2 * 4 + 1
    assert lines[3] == "|  | published | 11.47% | 8.64% | 1.33 | 91.37% | 32.25% | 5.35 | 85.54% | 91.92% |"
    assert lines[4].startswith("|  | ours, 5 tracks | ")
    assert lines[5].startswith(
        "| High-frequency GRU | ours | not trained here: add `hf_gru` to `catalog` | not trained |"
    )
    assert len({line.count("|") for line in lines}) == 1
    text = overview_markdown(cells)
    assert re.search(r"\| fused \| -?\d+\.\d\d% \| 11\.47% \|", text)
    assert "| lf_weekly_only |" in text
    assert "not published" in text


def test_numbers_have_no_false_zero_or_digit():
    assert number("rank_ic_mean", -0.00001) == "0.00%"
    assert number("icir", -0.001) == "0.00"
    assert number("icir", np.nan) == ""
    assert printed("rank_ic_mean", 0.118) == "11.8%"
    assert printed("rank_ic_positive_ratio", 0.9) == "90%"
    assert printed("top_annual", -0.3) == "-30%"
    assert printed("icir", 0.9) == "0.90"


def test_every_printed_correlation_has_its_chart():
    assert set(COMMON_CHARTS) == set(COMMON_CORRELATIONS)
    assert {len(values) for values in COMMON_CORRELATIONS.values()} == {len(COMMON_FACTORS)}
    assert PAIR_CORRELATIONS["lf_multitask", "hf_gru"] == 0.28
    assert report_of("lf_weekly_only") == "general"


def test_charts_take_any_number_of_names():
    for count in (2, 30):
        names = [f"s{i}" for i in range(count)]
        matrix = np.full((count, count), 0.5)
        matrix[0, 1] = matrix[1, 0] = np.nan
        fig = correlation_chart(names, matrix, 1)
        assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == names
        numbers = [t for t in fig.axes[0].texts if t.get_text()]
        assert len(numbers) == (count**2 - 2 if count <= 24 else 0)
    with pytest.raises(EvaluationError, match="matrix had shape"):
        correlation_chart(["a"], np.eye(2))
    dots = published_comparison_chart(["a", "b"], [0.1, np.nan], [0.2, 0.1]).axes[0]
    assert len(dots.collections[0].get_segments()) == 1  # joined only where both are there
    with pytest.raises(EvaluationError, match="1 names"):
        published_comparison_chart(["a"], [0.1], [])
