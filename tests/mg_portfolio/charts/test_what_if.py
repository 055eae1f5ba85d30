"""The chart and the page of a what-if comparison."""

import numpy as np
import pytest

from mg_portfolio import EnhancementProblem, compare
from mg_portfolio.charts.what_if import what_if_chart, what_if_html

N = 60


def problem(**new) -> EnhancementProblem:
    r = np.random.default_rng(4)
    benchmark = r.lognormal(0, 0.5, N)
    given = {
        "score": r.standard_normal(N),
        "benchmark": benchmark / benchmark.sum(),
        "holdings": benchmark / benchmark.sum(),
        "industry": np.arange(N) % 12,
        "styles": r.standard_normal((N, 1)),
        "style_limits": [0.1],
        "style_names": ("size",),
        "industry_limit": 0.02,
        "stock_limit": 0.02,
        "turnover_limit": 0.1,
    }
    return EnhancementProblem(**(given | new))


def test_panels_are_the_largest_changes_industries_and_styles():
    c = compare(problem(), problem(turnover_limit=0.2))
    weights, industries, styles = what_if_chart(c).axes
    changed = c.weights[c.weights["change"].abs() > 1e-9].head(14)
    shown = [text.get_text() for text in weights.get_yticklabels()][::-1]
    assert shown == changed["symbol"].tolist()
    widths = [bar.get_width() for bar in weights.containers[1]][::-1]
    assert widths == pytest.approx(100 * changed["after"].to_numpy())
    assert len(industries.get_yticklabels()) == 10
    assert [text.get_text() for text in styles.get_yticklabels()] == ["size"]


def test_nothing_changed_still_draws():
    assert len(what_if_chart(compare(problem(), problem())).axes) == 3


def test_the_page_has_the_chart_among_the_tables():
    c = compare(problem(), problem(stock_limit=0.03), title="wider <band>")
    page = what_if_html(c)
    assert page.index("<table") < page.index("<svg") < page.rindex("<table")
    assert page.count("<table") == 4
    assert "wider &lt;band&gt;" in page
    assert "wider <band>" not in page
