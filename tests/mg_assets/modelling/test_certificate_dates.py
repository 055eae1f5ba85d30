"""The calendar's part of a certificate: each date on the last day that is in time, and on the next one."""

from types import SimpleNamespace

import pytest

from mg_assets.modelling.certificates import _late_inputs, _late_weights, late_labels
from mg_assets.settings import settings


def trained(**ranges: tuple[str, str]) -> SimpleNamespace:
    """A model of 2016H2, which begins with a session, and of a return over 10 days."""
    card = {"ranges": {part: dict(zip(("first", "last"), days, strict=True)) for part, days in ranges.items()}}
    return SimpleNamespace(retrain="2016H2", spec=SimpleNamespace(horizon=10), card=card)


@pytest.mark.parametrize(
    ("part", "last", "available", "late"),
    [
        ("valid", "2016-06-15", "2016-06-30", False),  # T + 11 sessions
        ("valid", "2016-06-16", "2016-07-01", True),
        ("train", "2015-12-16", "2015-12-31", False),
        ("train", "2015-12-17", "2016-01-04", True),
    ],
)
def test_a_label_is_available_before_it_is_needed(part, last, available, late):
    ranges = {"train": ("2013-01-04", "2015-12-01"), "valid": ("2016-01-04", "2016-06-01")}
    ranges[part] = (ranges[part][0], last)
    needed = {"valid": "2016-07-01", "train": "2016-01-04"}[part]
    fault = {"part": part, "last_label": last, "available": available, "needed_before": needed}
    assert late_labels(trained(**ranges)) == ([fault] if late else [])


def test_a_model_predicts_from_its_half_year_on():
    model = trained(train=("2013-01-04", "2015-12-01"), valid=("2016-01-04", "2016-06-01"))
    assert late_labels(model, "2016-07-01") == []
    assert late_labels(model, "2016-06-30") == [
        {"part": "prediction", "day": "2016-06-30", "needed_from": "2016-07-01"}
    ]


def test_an_input_ends_on_the_day_or_the_period_before():
    def faults(name: str, last: str, **completed: str) -> list[dict]:
        return _late_inputs({"inputs": {name: {"last": last, **completed}}}, "2017-03-08")

    assert faults("daily", "2017-03-08") == []
    assert faults("daily", "2017-03-09") == [{"input": "daily", "last": "2017-03-09", "day": "2017-03-08"}]
    assert faults("weekly", "2017-03-08", completed="2017-02-27") == []
    assert faults("weekly", "2017-03-08", completed="2017-03-06") == [
        {"input": "weekly", "completed": "2017-03-06", "incomplete": "2017-03-06"}
    ]
    assert faults("monthly", "2017-03-08", completed="2017-02-01") == []
    assert faults("monthly", "2017-03-08", completed="2017-03-01") == [
        {"input": "monthly", "completed": "2017-03-01", "incomplete": "2017-03-01"}
    ]
    assert _late_inputs({"inputs": {}}, "2017-03-08") == [{"input": "none is listed", "day": "2017-03-08"}]


def test_a_weight_uses_returns_that_are_over_at_the_close():
    table = "hf_icir_weight"
    assert settings().catalogs.combinations[table].horizon == 5
    used = {"last_week": "2016-06-22"}  # complete on 2016-06-30, which is in time for that day's scores
    assert _late_weights(table, used, "2016-06-30") == []
    late = {"last_week": "2016-06-22", "available": "2016-06-30", "day": "2016-06-29"}
    assert _late_weights(table, used, "2016-06-29") == [late]
