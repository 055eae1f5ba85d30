"""How much longer a run takes, from the first minute on."""

import pytest

from mg_assets.assets import ASSET_OF
from mg_assets.cli.estimate import PRIOR, SECONDS, TRAINING, Estimate, duration
from mg_assets.cli.plan import BuildStep
from mg_assets.lake.store import WHOLE
from mg_assets.orchestration.pace import Pace

DAYS = tuple(f"2023-02-{d:02d}" for d in range(1, 11))
STEPS = [
    BuildStep("ticks", ("trades", "orders"), DAYS),
    BuildStep("labels", ("daily_bars", "labels"), DAYS),
    BuildStep("training", ("hf_gru_model",), ("2023H1",)),
    BuildStep("evaluation", ("factor_evaluation",), (WHOLE,)),
]
TICKS, DAY = SECONDS["trades"], 0.03
WHOLE_TABLE = 3.0 / len(ASSET_OF["factor_evaluation"].tables)


class FakeLake:
    """A lake that has given keys of each table."""

    def __init__(self, keys=None):
        self._keys = keys or {}

    def keys(self, table):
        return self._keys.get(table, [])


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def estimate(clock, keys=None) -> Estimate:
    return Estimate(STEPS, FakeLake(keys), {"hf_gru_model": 3}, clock)


def test_an_empty_lake_counts_every_stage(clock):
    whole = 10 * (2 * TICKS + DAY + SECONDS["labels"]) + 3 * TRAINING + WHOLE_TABLE
    assert estimate(clock).left() == pytest.approx(whole)


def test_a_built_lake_takes_no_time(clock):
    keys = {t: step.keys for step in STEPS for t in step.tables}
    assert estimate(clock, keys).left() == 0.0


def test_what_reads_a_rebuilt_table_is_counted(clock):
    keys = {t: step.keys for step in STEPS for t in step.tables}
    found = estimate(clock, keys | {"daily_bars": DAYS[:5]})
    labels = 10 * SECONDS["labels"] / 2  # as many as daily bars, which they read
    assert 5 * DAY + labels + WHOLE_TABLE == pytest.approx(found.left() - 3 * TRAINING / 2)


def test_a_machine_of_half_the_speed_doubles_what_is_left(clock):
    found = estimate(clock)
    before = found.left()
    found.begin(1, {"trades": DAYS, "orders": DAYS})
    work = 20 * TICKS
    found.progress("trades and orders", 20, 20, 0.0)
    clock.now = 2 * work
    assert found.left() == pytest.approx((before - work) * (PRIOR + 2 * work) / (PRIOR + work))
    found.end(1)
    assert found.left() == pytest.approx((before - work) * (PRIOR + 2 * work) / (PRIOR + work))


def test_ranges_of_days_add_up(clock):
    """Long stages are built in ranges, each with a count of its own: five days of ten are half the work."""
    found = estimate(clock)
    found.begin(1, {"trades": DAYS, "orders": DAYS})
    for range_of_days in range(2):
        for done in (1, 2, 3, 4):
            found.progress("trades and orders", done, 4, 0.0)
        assert found._ranges + sum(found._done.values()) == pytest.approx(4 * (range_of_days + 1) * TICKS)
    found.progress("trades and orders", 1, 2, 0.0)
    found.progress("trades and orders", 2, 2, 0.0)
    clock.now = 10 * TICKS  # the known speed, so far
    rest = 10 * (TICKS + DAY + SECONDS["labels"]) + 3 * TRAINING + WHOLE_TABLE
    assert found.left() == pytest.approx(rest)


def test_a_run_takes_no_less_than_the_asset_under_way(clock):
    found = estimate(clock)
    found.begin(4, {"factor_evaluation": [WHOLE]})
    found.progress("factor_evaluation", 10, 96, 700.0)
    assert found.left() == 700.0
    found.end(4)
    assert found.left() == 0.0


def test_a_first_report_after_compiling_is_no_pace(clock):
    pace, found = Pace(clock), estimate(clock)
    found.begin(1, {"trades": DAYS, "orders": DAYS})
    clock.now = 19.0  # the kernels, and two partitions
    before = found.left()
    found.progress("trades and orders", 2, 20, pace.left(2, 20))
    assert found.left() <= before
    clock.now += 1.0
    assert pace.left(12, 20) == pytest.approx(0.8)
    assert pace.left(20, 20) == 0.0


def test_a_training_says_itself_what_is_left_of_it(clock):
    keys = {t: step.keys for step in STEPS[:2] for t in step.tables}
    found = estimate(clock, keys)
    found.begin(3, {"hf_gru_model": ["2023H1"]})
    found.progress("hf_gru, (half-year, seed) pairs", 1, 3, 500.0)
    assert found.left() == pytest.approx(500.0 + WHOLE_TABLE * PRIOR / (PRIOR + TRAINING))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "10 s"), (41.0, "40 s"), (58.0, "1 min"), (380.0, "6 min"), (3600.0, "1 h"), (7700.0, "2 h 10 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text
