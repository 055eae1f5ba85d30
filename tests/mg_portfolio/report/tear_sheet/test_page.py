"""The tear sheet: the figures of `evaluate`, on a page of its own in two languages."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from mg_portfolio import EvaluationError, TearSheet, evaluate, tear_sheet
from mg_portfolio.evaluation.evaluate import ic_decay
from mg_portfolio.report.tear_sheet.texts import TEXTS

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def market() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(3)
    days, symbols = pd.bdate_range("2022-10-03", periods=160), [f"{600000 + i}.SH" for i in range(60)]
    price = pd.DataFrame(10 * np.exp(np.cumsum(0.02 * rng.standard_normal((160, 60)), 0)), days, symbols)
    factor = 3 * (price.shift(-6) / price.shift(-1) - 1).fillna(0.0) + rng.standard_normal((160, 60))
    return factor.where(rng.random((160, 60)) > 0.05), price


@pytest.fixture(scope="module")
def sheet(market) -> TearSheet:
    return tear_sheet(market[0].iloc[::-1, ::-1], market[1], name="a <factor>", groups=5)


def test_its_tables_are_those_of_the_evaluation(sheet, market):
    found = evaluate(*market, groups=5)
    assert sheet.figures["rank_ic_mean"] == found.summary["rank_ic_mean"] > 0.02
    assert list(sheet.years.index) == [2022, 2023]
    assert sheet.years.loc[2023, "rank_ic_mean"] == found.by_year.loc[2023, "rank_ic_mean"]
    universe = market[0].notna()
    assert sheet.decay.to_dict() == ic_decay(*market, universe, sheet.decay.index)
    assert list(sheet.layers.index) == [*(f"layer{k}" for k in range(1, 6)), "universe"]
    held = found.nav("layer1")[np.isfinite(found.nav("layer1"))]
    assert sheet.layers.loc["layer1", "annual"] == pytest.approx((held[-1] / held[0]) ** (252 / (len(held) - 1)) - 1)
    assert sheet.turnover.groupby("track").mean().mean() == pytest.approx(found.summary["top_turnover_two_way"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_needs_no_other_file(sheet, tmp_path, language):
    page = sheet.save(tmp_path / "sheet.html", language).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "a &lt;factor&gt;" in page
    assert "<factor>" not in page
    assert page.count("<svg ") == 6
    assert not re.search(r"https?://|<script|<link|<img|@import|url\((?!#)|\bsrc=", page)
    assert TEXTS[language]["decay"] in page
    assert f"{sheet.figures['rank_ic_mean']:.4f}" in page
    assert f"{100 * sheet.layers.loc['layer5', 'excess']:.1f}%" in page
    assert "nan" not in re.sub(r"<[^>]*>", "", page)
    assert set(TEXTS["en"]) == set(TEXTS["zh"])
    assert not re.search(r"[{}]", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))


def test_a_notebook_shows_the_page(sheet):
    assert sheet._repr_html_().startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')


def test_a_factor_that_cannot_be_evaluated_is_named(market):
    with pytest.raises(EvaluationError, match=r"mine: no day has 30 stocks .* no signal 9,540"):
        tear_sheet(market[0] * np.nan, market[1], name="mine")
    with pytest.raises(EvaluationError, match="language was 'fr', expected one of en, zh"):
        tear_sheet(*market).html("fr")


@pytest.mark.browser
def test_a_browser_fetches_nothing(sheet, tmp_path):
    if BROWSER is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    path, asked = sheet.save(tmp_path / "sheet.html"), []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        sizes = page.eval_on_selector_all("svg", "all => all.map(s => [s.clientWidth, s.clientHeight])")
        wide = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        browser.close()
    assert asked == [path.as_uri()]
    assert len(sizes) == 6
    assert min(min(size) for size in sizes) > 80
    assert wide
