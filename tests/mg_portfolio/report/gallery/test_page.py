"""The gallery: every name has its charts or a reason, the published numbers are all there, ours are those given."""

import re

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.report.gallery.page import CORRELATIONS, TABLES, Gallery, draw_charts, render_gallery
from mg_portfolio.report.gallery.texts import METRICS, TABLE_NAMES, TEXTS
from mg_portfolio.report.published import published_correlations, published_rows

DAYS = np.busday_offset("2017-01-04", np.arange(40))
NAMES = ["down_vol_perc", "late_skew_ret", "volume_perc2"]


def layers(name, track, start=0, groups=5):
    """40 days of one name's layers; the first rows before the purchase."""
    rng = np.random.default_rng(len(name))
    nav = np.cumprod(1 + rng.normal(0, 0.01, (groups, 40)), axis=1)
    nav[:, : start + 1] = np.nan
    rank_ic = np.where(np.arange(40) % 5 == start, 0.05, np.nan) if track != "mean" else np.full(40, 0.05)
    frame = {"name": name, "date": DAYS, "track": track, "rank_ic": rank_ic}
    return pd.DataFrame(frame | {f"layer{g + 1}": line for g, line in enumerate(nav)})


def content(**changes):
    """Two factors evaluated, the third not."""
    summary = pd.DataFrame({"name": NAMES[:2], "rank_ic_mean": [0.0123, -0.00001], "rank_ic_ir": [0.5, np.nan]})
    summary = summary.assign(top_excess_annual=0.1, top_turnover_two_way=0.8)
    row = {"name": "down_vol_perc", "table": "chart 7", "first_day": "2017-01-04", "last_day": "2017-02-28"}
    published = pd.DataFrame(
        [row | {"metric": m, "one_track": 0.11, "mean": 0.22, "std": 0.033} for m in METRICS["en"]]
    )
    pair = pd.DataFrame([[1, -0.9], [-0.9, 1]], NAMES[:2], NAMES[:2])
    shown = {
        "kind": "factors",
        "names": NAMES,
        "summary": summary,
        "layers": pd.concat(
            [layers("down_vol_perc", "2", 2), layers("down_vol_perc", "mean"), layers(NAMES[1], "mean")]
        ),
        "published": published,
        "correlations": pair,
        "absent": {"volume_perc2": "fewer than 30 days with a value"},
        "meanings": {"down_vol_perc": "Downside."},
    }
    return Gallery(**(shown | changes))


def section(page, anchor):
    """Markup from an id to the next name, table or section."""
    rest = page.split(f'id="{anchor}"', 1)[1]
    return re.split(r'<section|<h3 id=|<div class="name"', rest)[0]


@pytest.fixture(scope="module")
def page():
    return render_gallery(content())


def test_each_name_has_its_charts_or_the_reason(page):
    assert section(page, "down_vol_perc").count("<svg") == 2
    assert "every fifth session" in section(page, "down_vol_perc")
    assert "Track with decisions from 2017-01-06" in section(page, "down_vol_perc")
    assert "Mean over tracks" in section(page, "late_skew_ret")
    assert "fewer than 30 days with a value" in section(page, "volume_perc2")
    assert "<svg" not in section(page, "volume_perc2")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_ours_stands_above_the_mean_and_the_printed_line(page):
    rows = section(page, "published-chart-7").split("<tr")
    at = next(i for i, row in enumerate(rows) if "down_vol_perc" in row)
    cells = [re.findall(r"<td>([^<]*)</td>", row) for row in rows[at : at + 3]]
    assert cells[0][:3] == ["11.00%", "11.00%", "0.11"]
    assert cells[1][:3] == ["22.00% (3.30%)", "22.00% (3.30%)", "0.22 (0.03)"]
    assert cells[2] == ["6.72%", "12.12%", "0.55", "73.00%", "15.82%", "3.25", "76.15%", "54.21%"]


@pytest.mark.parametrize("kind", TABLES)
def test_every_published_number_is_shown(kind):
    empty = pd.DataFrame()
    names = [s for table in TABLES[kind] for s in published_rows(table=table)["subject"].unique()]
    page = render_gallery(Gallery(kind, list(dict.fromkeys(names)), empty, empty, empty), "zh")
    for table in TABLES[kind]:
        shown = section(page, f"published-{table.replace(' ', '-')}")
        lines = re.findall(r'class="printed last">(.*?)</tr>', shown, re.DOTALL)
        printed = published_rows(table=table, report="huatai_72")
        assert sum(len(re.findall(r"<td>[^<]+</td>", line)) for line in lines) == len(printed)


def test_correlations_have_numbers_and_the_printed_ones(page):
    shown = section(page, "correlations-chart-23")
    assert "-0.90<small>0.26</small>" in shown
    assert shown.count("<small>") == 15 * 14
    printed = published_correlations()
    assert printed.groupby("table").size().to_dict() == {"chart 23": 105, "chart 35": 28, "chart 42": 6}
    factors = {table: set(published_rows(table=table)["subject"]) for table in CORRELATIONS.values()}
    for table, rows in printed.groupby("table"):
        assert set(rows["a"]) | set(rows["b"]) == factors[CORRELATIONS[table]]


def test_charts_are_drawn_of_the_reports_track_where_it_is(page):
    charts = draw_charts(content().layers)
    assert charts["down_vol_perc"].track == "2"
    assert charts["down_vol_perc"].first == DAYS[2]
    assert charts["late_skew_ret"].track == "mean"
    assert "0.40" in charts["down_vol_perc"].rank_ic  # eight decisions of 0.05
    assert "0.40" in charts["late_skew_ret"].rank_ic  # forty days, a fifth of each


def test_names_without_rebalances_say_so():
    frame = layers("down_vol_perc", "mean")
    frame[["rank_ic", *(f"layer{g}" for g in range(1, 6))]] = np.nan
    shown = section(render_gallery(content(layers=frame)), "down_vol_perc")
    assert "No rebalance could be made" in shown
    assert "No day has a RankIC" in shown
    assert "<svg" not in shown


@pytest.mark.parametrize(("lang", "name"), [("en", "simulated exchange"), ("zh", "模拟交易所")])
def test_the_simulated_exchange_has_its_name(lang, name):
    assert f"<dd>{name}</dd>" in render_gallery(content(source="simulated"), lang)
    assert "<dd>tonglian</dd>" in render_gallery(content(source="tonglian"), lang)


def test_languages_have_the_same_texts():
    for words in (TEXTS, METRICS, TABLE_NAMES):
        assert set(words["en"]) == set(words["zh"])
    page = render_gallery(content(), "zh")
    assert "下行收益率波动占比" in page
    assert "有值的交易日不足 30 个" in page
    with pytest.raises(EvaluationError, match="lang was 'fr'"):
        render_gallery(content(), "fr")
    with pytest.raises(EvaluationError, match="kind was 'x'"):
        render_gallery(content(kind="x"))
