"""Digests of what a training can see: all of it, nothing else, whatever the axes; a damaged seed is retrained."""

import numpy as np
import pytest

from mg_models.catalog import CATALOG, override
from mg_models.data.dataset import Dataset
from mg_models.data.panel import Panel, PeriodPanel
from mg_models.training import retrain as training
from mg_models.training.retrain import plan_training, train, train_many

DAYS, STOCKS = 260, 40
QUICK = {
    "hidden": 5, "batch_rows": 200, "max_epochs": 1, "check_every": 3, "patience": 2, "min_train_days": 10,
    "min_valid_days": 3, "seeds": [0],
}  # fmt: skip
RETRAIN = "2013H2"


@pytest.fixture(scope="module", autouse=True)
def revision():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "git_revision", lambda: "0" * 40)
        yield


@pytest.fixture(scope="module")
def lf(make):
    labels = np.random.default_rng(2).standard_normal((DAYS, STOCKS))
    spec = override(CATALOG["lf_multitask"], steps={"daily": 10, "weekly": 6, "monthly": 4}, **QUICK)
    return spec, make.bars_of(make.weekdays(DAYS), make.daily_bars(DAYS, STOCKS)), labels


def digests(spec, inputs, labels, retrains=(RETRAIN,)):
    return plan_training(spec, inputs, labels, None, retrains).origins[RETRAIN]


def widened(panel):
    """The same data on an axis with a stock more, which is not listed yet."""
    symbols = np.append(panel.symbols, "999999.SH")

    def more(values):
        return np.concatenate([values, np.full((len(values), 1, values.shape[-1]), np.nan, np.float32)], axis=1)

    if isinstance(panel, PeriodPanel):
        return PeriodPanel(
            panel.days, symbols, more(panel.completed), more(panel.to_date), panel.period_of_day, panel.features
        )
    return Panel(panel.days, symbols, more(panel.values), panel.features)


def test_more_half_years_and_more_stocks_change_no_digest(lf):
    spec, inputs, labels = lf
    alone = digests(spec, inputs, labels)
    assert set(alone.input_digests) == {"daily", "weekly", "monthly", "labels"}
    assert digests(spec, inputs, labels, [RETRAIN, "2014H1"]) == alone
    wide = {n: widened(p) for n, p in inputs.items()}
    assert digests(spec, wide, np.c_[labels, np.full(DAYS, 0.5)]) == alone


def test_the_window_rolls_alone_or_with_others(make):
    panel = make.factor_panel(DAYS, STOCKS, 4, missing=0.02)
    labels = np.random.default_rng(1).standard_normal((DAYS, STOCKS))
    spec = override(
        CATALOG["lstm"], steps=5, train_days=60, valid_days=30, seeds=[0], min_train_days=10, min_valid_days=3
    )
    member = Panel(panel.days, panel.symbols, np.ones((DAYS, STOCKS, 1)), ("member",))
    inputs = {"daily_factors": panel, "liquid": member}
    both = plan_training(spec, inputs, labels, None, [RETRAIN, "2014H1"]).origins
    begin = int(plan_training(spec, inputs, labels, None, ["2014H1"]).splits["2014H1"].train[0]) - 4
    later = {n: Panel(p.days[begin:], p.symbols, p.values[begin:], p.features) for n, p in inputs.items()}
    assert plan_training(spec, later, labels[begin:], None, ["2014H1"]).origins["2014H1"] == both["2014H1"]


@pytest.mark.parametrize("what", ["daily", "weekly", "monthly", "labels"])
def test_each_value_that_training_sees_is_in_its_digest(lf, what):
    spec, inputs, labels = lf
    before = digests(spec, inputs, labels)
    todo = plan_training(spec, inputs, labels, None, [RETRAIN])
    at = int(todo.splits[RETRAIN].train[3])
    stock = int(np.flatnonzero(todo.eligible[at])[3])
    changed, other = dict(inputs), labels.copy()
    if what == "labels":
        other[at, stock] += 1e-12
    elif what == "daily":
        values = inputs["daily"].values.copy()
        values[at, stock, 3] *= 1 + 1e-6
        changed["daily"] = Panel(inputs["daily"].days, inputs["daily"].symbols, values, inputs["daily"].features)
    else:
        p = inputs[what]
        completed = p.completed.copy()
        completed[int(p.period_of_day[at]) - 1, stock, 3] *= 1 + 1e-6
        changed[what] = PeriodPanel(p.days, p.symbols, completed, p.to_date, p.period_of_day, p.features)
    after = digests(spec, changed, other)
    assert after.data_digest != before.data_digest
    moved = {n for n, d in after.input_digests.items() if d != before.input_digests[n]}
    assert moved == {what}


def test_nothing_after_the_last_validation_day_is_in_it(lf, make):
    spec, inputs, labels = lf
    split = plan_training(spec, inputs, labels, None, [RETRAIN]).splits[RETRAIN]
    last = int(split.valid[-1])
    later = {n: make.future_changed(p, last) for n, p in inputs.items()}
    other = labels.copy()
    other[last + 1 :] = 9.0
    assert digests(spec, later, other) == digests(spec, inputs, labels)


def test_input_records_are_the_window_and_its_stocks(lf, make):
    """As the definition says: the panel's values of the stocks that take part, from the window's first row."""
    spec, inputs, _ = lf
    data = Dataset(spec, inputs)
    day = 120
    records = data.input_records(day)
    assert {n: f.rows for n, f in records.items()} == {"daily": 10, "weekly": 6, "monthly": 4}
    assert all(f.last == str(data.days[day]) and f.stocks == len(data.rows(day)) for f in records.values())
    again = Dataset(spec, {n: make.cut_after(p, day) for n, p in inputs.items()})
    assert again.input_records(day) == records
    touched = inputs["weekly"].completed.copy()
    touched[int(inputs["weekly"].period_of_day[day]) - 5, data.rows(day)[0], 0] *= 1.5
    p = inputs["weekly"]
    moved = {**inputs, "weekly": PeriodPanel(p.days, p.symbols, touched, p.to_date, p.period_of_day, p.features)}
    other = Dataset(spec, moved).input_records(day)
    assert {n for n in records if other[n] != records[n]} == {"weekly"}


def test_a_damaged_seed_is_reported_and_retrained(lf, tmp_path):
    spec, inputs, labels = lf
    train(spec, inputs, labels, None, RETRAIN, [0, 1], out_dir=tmp_path)
    weights = tmp_path / RETRAIN / "seed1.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"\0")
    plans, ran = [], []
    train_many(
        spec, inputs, labels, None, [RETRAIN], [0, 1], out_dir=tmp_path,
        on_plan=lambda todo: plans.append((todo.damaged, todo.jobs)), on_trained=lambda *pair: ran.append(pair),
    )  # fmt: skip
    ((damaged, jobs),) = plans
    assert "seed1" in damaged[0]
    assert jobs == ran == [(RETRAIN, 1)]
    assert weights.read_bytes() == whole
