"""One name, one figure: evaluation, signal study and weekly report of one lake agree."""

import re
from pathlib import Path

import numpy as np
import pytest

from mg_assets.lake.partition_keys import WHOLE
from mg_portfolio.evaluation.report_period import MIN_DAYS
from mg_portfolio.report.weekly.tables import EVALUATION_METRICS


def evaluated(lake):
    """Rows of both evaluations by name."""
    tables = ("factor_evaluation", "signal_evaluation")
    return {row["name"]: row for table in tables for row in lake.day(table, WHOLE).to_dict("records")}


def shown_by_the_weekly(lake):
    """Cells of the last report's table of evaluations, first number each, by name and metric."""
    folder = max(p for p in Path(lake.root, "weekly_report").iterdir() if (p / "report_en.html").exists())
    out = {}
    for name, row in re.findall(r'<tr data-evaluation="(\w+)">(.*?)</tr>', (folder / "report_en.html").read_text()):
        cells = re.findall(r"<td>(.*?)</td>", row)[1:]
        numbers = [re.search(r"-?\d+\.\d+", re.sub(r"<[^>]*>", "", cell)) for cell in cells]
        out[name] = dict(zip(EVALUATION_METRICS, numbers, strict=True))
    return out


def test_the_study_has_the_figures_of_the_evaluation(lake):
    published = lake.day("signal_evaluation_published", WHOLE)
    study = lake.day("signal_study", WHOLE).set_index(["table", "subject", "metric"])
    assert len(published) >= 24
    for row in published.itertuples():
        cell = study.loc[(row.table, row.name, row.metric)]
        assert (cell["ours"], cell["one_track"]) == pytest.approx((row.mean, row.one_track), nan_ok=True), row
        assert (cell["first_day"], cell["last_day"]) == (row.first_day, row.last_day)


def test_published_days_that_hold_the_lake_are_its_whole(lake):
    rows = evaluated(lake)
    for table in ("factor_evaluation_published", "signal_evaluation_published"):
        for row in lake.day(table, WHOLE).itertuples():
            mine = rows[row.name]
            assert (row.first_day, row.last_day) == (mine["first_day"], mine["last_day"])
            assert row.mean == pytest.approx(mine[row.metric], rel=1e-9, nan_ok=True), row


def test_the_last_weekly_report_has_the_evaluations_figures(lake):
    rows, shown = evaluated(lake), shown_by_the_weekly(lake)
    assert {"fused", "down_vol_perc"} <= set(shown)
    for name, cells in shown.items():
        for metric, found in cells.items():
            if found and np.isfinite(value := rows[name][metric]):
                percent = 1 if metric in ("rank_ic_ir", "top_information_ratio") else 100
                assert float(found[0]) == pytest.approx(percent * value, abs=0.0051), (name, metric)


def test_each_evaluated_name_has_its_layers(lake):
    for prefix, layers in (("factor", 5), ("signal", 10)):
        frame = lake.day(f"{prefix}_layers", WHOLE)
        assert sum(column.startswith("layer") for column in frame) == layers
        assert set(frame["name"]) == set(lake.day(f"{prefix}_evaluation", WHOLE)["name"])
        assert frame.groupby(["name", "track"]).size().min() >= MIN_DAYS
