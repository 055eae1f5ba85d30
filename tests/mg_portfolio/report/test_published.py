import numpy as np
import pandas as pd
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.report.published import period_bounds, published_rows, published_value


def test_every_row_is_one_number_of_one_table():
    rows = published_rows()
    assert len(rows) == 1729
    assert not rows.duplicated(["report", "table", "period", "subject", "metric"]).any()
    assert np.isfinite(rows["value"]).all()
    for period in rows["period"].unique():
        start, end = period_bounds(period)
        assert start < end


@pytest.mark.parametrize(
    ("subject", "metric", "value"),
    [
        ("down_vol_perc", "rank_ic_mean", 0.0672),
        ("csi500_turnover30", "excess_annual", 0.1946),
        ("csi1000_turnover40", "excess_annual", 0.3014),
        ("csi500_turnover30", "annual_return", 0.1719),  # the whole period of chart 64, not a year of chart 65
    ],
)
def test_values(subject, metric, value):
    assert published_value(subject, metric) == value


def test_value_of_one_period():
    week = "2023-12-11/2023-12-15"
    assert published_value("multi_granularity_10d", "long_short", period=week) == 0.0152
    assert published_value("csi500_turnover30", "annual_return", period="2021") == 0.4667


def test_the_two_indices_are_not_mixed_up():
    assert published_rows(table="chart 64")["subject"].str.startswith("csi500").all()
    assert published_rows("csi500_benchmark", "annual_return", period="2017")["value"].tolist() == [-0.0225]
    assert published_rows("mixed_input_gru_5d", table="table 4", period="2017")["value"].tolist() == [0.267]


def test_tables_that_print_the_same_number_agree():
    shared = published_rows().groupby(["subject", "metric", "period"])["value"].agg(["size", "nunique"])
    assert (shared["size"] > 1).sum() == 90
    assert (shared["nunique"] == 1).all()


def test_unpublished_is_none():
    assert published_value("down_vol_perc", "no_such_metric") is None
    assert published_value("down_vol_perc", "rank_ic_mean", period="2017") is None


def test_ambiguous_is_an_error_that_names_the_tables(monkeypatch):
    rows = published_rows("down_vol_perc", "rank_ic_mean")
    other = rows.assign(table="chart 99", value=0.5)
    monkeypatch.setattr("mg_portfolio.report.published._table", lambda: pd.concat([rows, other]))
    with pytest.raises(EvaluationError, match=r"chart 7 .*: 0.0672, huatai_72 chart 99 .*: 0.5; pass table="):
        published_value("down_vol_perc", "rank_ic_mean")
    assert published_value("down_vol_perc", "rank_ic_mean", table="chart 99") == 0.5


def test_a_period_is_a_year_or_two_dates():
    with pytest.raises(EvaluationError, match="expected a year or two dates"):
        period_bounds("2017Q1")
