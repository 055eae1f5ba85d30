"""Charts of a backtest show the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.portfolio import (
    attribution_chart,
    industries_chart,
    relative_chart,
    turnover_chart,
    weekday_paths_chart,
)
from mg_portfolio.charts.style import png

DAYS = np.arange(np.datetime64("2023-01-02"), np.datetime64("2023-09-01"))
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")


def walks(count: int) -> np.ndarray:
    return np.cumprod(1 + 0.004 * np.random.default_rng(1).standard_normal((count, len(DAYS))), axis=1)


def words(figure) -> str:
    return " ".join(t.get_text() for ax in figure.axes for t in ax.texts)


def test_weekday_paths_are_named_with_their_end():
    paths = dict(zip(WEEKDAYS, walks(5), strict=True))
    figure = weekday_paths_chart(DAYS, paths)
    for name, line in paths.items():
        assert f"{name}  {line[-1]:.3f}" in words(figure)
    ends = [line[-1] for line in paths.values()]
    assert figure.axes[0].get_title(loc="right") == f"spread at the end: {100 * np.ptp(ends):.1f}%"
    drawn = {round(float(line.get_ydata()[-1]), 9) for line in figure.axes[0].lines}
    assert {round(float(e), 9) for e in ends} <= drawn
    assert png(figure)[:4] == b"\x89PNG"


def test_the_parts_run_up_to_the_excess():
    r = np.random.default_rng(2)
    parts = {name: 1e-4 * r.standard_normal(len(DAYS)) for name in ("industry", "size", "selection", "cost")}
    figure = attribution_chart(DAYS, parts)
    whole = sum(v.sum() for v in parts.values())
    assert f"excess  {100 * whole:+.1f}%" in words(figure)
    assert figure.axes[0].lines[1].get_ydata()[-1] == pytest.approx(whole)  # after the zero line
    with pytest.raises(EvaluationError, match="size had 3 values"):
        attribution_chart(DAYS, {"size": np.zeros(3)})


def test_the_largest_industries_are_shown():
    r = np.random.default_rng(3)
    table = pd.DataFrame(r.standard_normal((20, 2)) / 100, columns=["allocation", "selection"],
                         index=[f"industry {i}" for i in range(20)])  # fmt: skip
    table["total"] = table.sum(axis=1)
    figure = industries_chart(table, most=6)
    shown = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    largest = table["total"].abs().sort_values(ascending=False).index[:6]
    assert set(shown) == set(largest)
    assert [table["total"][n] for n in shown] == sorted(table["total"][n] for n in shown)


def test_turnover_and_relative_navs():
    days = DAYS[::7]
    figure = turnover_chart(days, np.full(len(days), 0.3), np.linspace(0.2, 0.31, len(days)))
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx(np.linspace(0.2, 0.31, len(days)))
    lines = walks(2)
    lines[1, :30] = np.nan
    assert f"b  {lines[1, -1]:.3f}" in words(relative_chart(DAYS, {"a": lines[0], "b": lines[1]}, "CSI500"))
