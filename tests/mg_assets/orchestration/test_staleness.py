"""What makes a partition stale: content, and nothing else."""

import datetime as dt
import os
import struct
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xxhash

from mg_assets.assets import TABLES
from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import half_year_start, shift, trading_days, week_of
from mg_assets.market.schema import SCHEMAS
from mg_assets.modelling.training_inputs import training_since, training_windows
from mg_assets.orchestration.inputs import WHOLE_CONTENT, LakeSnapshot, combined
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, WEEKLY
from mg_assets.orchestration.staleness import TableRegistry
from mg_assets.sources.recorded import RecordedSource, changed_marks, marks_of
from mg_models.catalog import CATALOG

DAYS = [str(d) for d in trading_days("2019-11-01", "2020-02-28")]
STOCKS = [f"60000{i}.SH" for i in range(3)]
HALF = "2020H1"


def labels(day: str, known_until: str, shift_by: float = 0.0) -> pd.DataFrame:
    """Returns that depend on the day, null where they are not complete on ``known_until``."""
    frame = pd.DataFrame({"symbol": STOCKS})
    for horizon in (5, 10, 20):
        value = (hash(day) % 97) / 1000 + horizon + shift_by
        known = str(shift(day, horizon + 1)) <= known_until
        frame[f"ret_{horizon}"] = value if known else np.nan
    return frame


def write(lake: Lake, table: str, key: str, frame: pd.DataFrame) -> None:
    lake.write(table, key, frame, TABLES.provenance(lake, table, key))


def scores(day: str, value: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame({"symbol": STOCKS, "score": value + len(day)})


@pytest.fixture
def lake(tmp_path) -> Lake:
    """Inputs and labels as they are on the eve of the half-year, and a model trained on them."""
    lake = Lake(tmp_path / "lake")
    eve = str(shift(half_year_start(HALF).isoformat(), -1))
    for day in [d for d in DAYS if d <= eve]:
        lake.write("daily_factors", day, scores(day))
        lake.write("labels", day, labels(day, eve))
    write(lake, "lf_multitask_model", HALF, pd.DataFrame({"seed": [0]}))
    return lake


def stale(lake: Lake, table: str, *keys: str) -> list[str]:
    return TABLES.stale(lake, None, table, keys)


def test_returns_that_become_known_leave_a_model(lake):
    assert stale(lake, "lf_multitask_model", HALF) == []
    for day in lake.keys("labels"):
        lake.write("labels", day, labels(day, DAYS[-1]))  # every December return is complete now
    assert stale(lake, "lf_multitask_model", HALF) == []


def test_a_return_that_was_read_makes_a_model_stale(lake):
    eve = lake.keys("labels")[-1]
    horizon = max(CATALOG["lf_multitask"].label.horizons)
    last = str(shift(eve, -horizon - 1))
    lake.write("labels", last, labels(last, eve, shift_by=0.001))
    assert stale(lake, "lf_multitask_model", HALF) == [HALF]


def test_a_return_that_was_not_read_does_not(lake):
    eve = lake.keys("labels")[-1]
    first_unread = str(shift(eve, -min(CATALOG["lf_multitask"].label.horizons)))
    lake.write("labels", first_unread, labels(first_unread, DAYS[-1], shift_by=0.001))
    assert stale(lake, "lf_multitask_model", HALF) == []
    lake.write("labels", first_unread, labels(first_unread, DAYS[-1]).iloc[:2])  # a stock less
    assert stale(lake, "lf_multitask_model", HALF) == [HALF]


def test_what_was_made_from_a_changed_return(lake):
    """By the days that were read of each column; where only columns changed, by these alone."""
    eve, horizons = lake.keys("labels")[-1], CATALOG["lf_multitask"].label.horizons
    read, unread = (str(shift(eve, -h)) for h in (max(horizons) + 1, min(horizons)))
    seen, model = LakeSnapshot(lake), {"lf_multitask_model": [HALF]}
    returns = {"labels": {f"ret_{h}" for h in (5, 10, 20)}}
    assert TABLES.dependents(seen, {"labels": [read]}) == model
    assert TABLES.dependents(seen, {"labels": [read]}, returns) == model
    assert TABLES.dependents(seen, {"labels": [read]}, {"labels": {"another"}}) == {}
    assert TABLES.dependents(seen, {"labels": [unread]}) == model  # its stocks may be others
    assert TABLES.dependents(seen, {"labels": [unread]}, returns) == {}
    assert TABLES.dependents(seen, {"labels": [DAYS[0]]}, returns) == model  # the first of its window


def test_a_model_is_made_from_its_inputs_up_to_the_eve(lake):
    eve = lake.keys("labels")[-1]
    for day in (eve, str(shift(eve, 1))):
        lake.write("factor_inputs", day, scores(day))
    write(lake, "hf_gru_model", HALF, pd.DataFrame({"seed": [0]}))
    made = [TABLES.dependents(LakeSnapshot(lake), {"factor_inputs": [day]}) for day in lake.keys("factor_inputs")]
    assert made == [{"hf_gru_model": [HALF]}, {}]


def test_a_question_about_one_table_lists_no_other(lake, monkeypatch):
    monkeypatch.setattr(type(lake.storage), "files_of_tables", None)
    assert LakeSnapshot(lake).keys("labels").tolist() == lake.keys("labels")


def test_digests_of_windows_are_those_that_are_stored():
    """Another definition makes every partition of every lake stale."""
    first, second = np.array([1, 2**64 - 1], np.uint64), np.array([7, 9], np.uint64)
    assert combined([first]) == ["0000000000000001", "ffffffffffffffff"]
    assert combined([first, second]) == [
        xxhash.xxh3_64_hexdigest(struct.pack("<2Q", *row)) for row in zip(first.tolist(), second.tolist(), strict=True)
    ]


def test_two_assets_cannot_make_one_table():
    entry = TABLES["labels"]
    with pytest.raises(DataError, match="two assets make the table labels; rename the entry of your own"):
        TableRegistry([entry, TABLES["daily_bars"], entry])


def test_the_same_content_again_and_times_are_nothing(tmp_path):
    lake = Lake(tmp_path)
    for day in DAYS[:30]:
        lake.write("intraday_factors", day, scores(day))
    write(lake, "factor_scores", DAYS[25], scores("x"))
    for day in DAYS[:30]:
        lake.write("intraday_factors", day, scores(day))
        os.utime(lake.path("intraday_factors", day), (2**31, 2**31))
    assert stale(lake, "factor_scores", DAYS[25]) == []
    lake.write("intraday_factors", DAYS[27], scores("x", 1.0))  # after it
    assert stale(lake, "factor_scores", DAYS[25]) == []
    lake.write("intraday_factors", DAYS[25], scores("x", 1.0))  # the last day of its window
    assert stale(lake, "factor_scores", DAYS[25]) == [DAYS[25]]
    lake.write("intraday_factors", DAYS[25], scores(DAYS[25]))
    assert stale(lake, "factor_scores", DAYS[25]) == []
    lake.write("intraday_factors", DAYS[6], scores("x", 1.0))  # the first day of its window
    assert stale(lake, "factor_scores", DAYS[25]) == [DAYS[25]]
    lake.write("intraday_factors", DAYS[6], scores(DAYS[6]))
    assert stale(lake, "factor_scores", DAYS[25]) == []
    lake.write("intraday_factors", DAYS[5], scores("x", 1.0))  # the day before that
    assert stale(lake, "factor_scores", DAYS[25]) == []
    lake.remove("intraday_factors", DAYS[7])
    assert stale(lake, "factor_scores", DAYS[25]) == [DAYS[25]]


def test_two_days_exchanged_are_noticed(tmp_path):
    """The sum of a window's hashes holds each content with its day."""
    lake = Lake(tmp_path)
    for at, day in enumerate(DAYS[:5]):
        lake.write("intraday_factors", day, scores("x", at))
    write(lake, "factor_scores", DAYS[4], scores("x"))
    lake.write("intraday_factors", DAYS[1], scores("x", 2))
    lake.write("intraday_factors", DAYS[2], scores("x", 1))
    assert stale(lake, "factor_scores", DAYS[4]) == [DAYS[4]]


def test_a_week_that_lasts_is_not_read():
    week = str(week_of(np.array(["2020-01-08"], "datetime64[D]"))[0])
    need = UpstreamWindow("weekly_bars", back=100)
    available = np.array([week, str(np.datetime64(week) - 7)], dtype=object)[::-1]
    assert list(TABLES.window(need, "lf_multitask", "2020-01-08", available)) == [available[0]]
    assert list(TABLES.window(need, "lf_multitask", str(np.datetime64(week) + 7), available)) == list(available)


def test_a_chain_reads_the_partitions_before(tmp_path):
    lake, table = Lake(tmp_path), "weights_csi500_turnover30"
    weeks = ["2020-01-06", "2020-01-13", "2020-01-20"]
    for week in weeks:
        write(lake, table, week, scores(week))
    assert stale(lake, table, *weeks) == []
    write(lake, table, weeks[0], scores("x", 1.0))
    assert stale(lake, table, *weeks) == weeks[1:]
    assert TABLES.dependents(LakeSnapshot(lake), {table: weeks[1:2]}) == {table: weeks[2:]}
    write(lake, table, weeks[0], scores(weeks[0]))
    assert stale(lake, table, *weeks) == []


def test_a_chain_is_built_again_from_a_rejected_partition_on(tmp_path):
    lake, table = Lake(tmp_path), "weights_csi500_turnover30"
    weeks = ["2020-01-06", "2020-01-13", "2020-01-20"]
    for week in weeks:
        write(lake, table, week, scores(week))
    lake.record_check_failures(table, weeks[1], ["budget"])
    assert TABLES.stale_reasons(None, table, weeks, LakeSnapshot(lake)) == {
        weeks[1]: "rejected by budget",
        weeks[2]: f"{table} before it",
    }


def test_a_file_beside_the_source_counts(tmp_path):
    lake, files = Lake(tmp_path), {DAYS[0]: "a", DAYS[1]: "b"}
    tables = TableRegistry([replace(TABLES["reference"], files=files.get)])
    for day in files:
        facts = tables.provenance(lake, "reference", day) | {"files": files[day]}
        lake.write("reference", day, SCHEMAS["reference"].empty_table(), facts)
    files[DAYS[1]] = "c"
    assert tables.stale_reasons(None, "reference", DAYS[:2], LakeSnapshot(lake)) == {DAYS[1]: "its file changed"}


def test_another_recipe_or_none_is_stale(tmp_path):
    lake = Lake(tmp_path)
    lake.write("reference", DAYS[0], SCHEMAS["reference"].empty_table())
    assert TABLES.stale_reasons(None, "reference", DAYS[:2], LakeSnapshot(lake)) == {
        DAYS[0]: "another definition",
        DAYS[1]: "absent",
    }


class Vendor:
    """A source of one number a table and day."""

    name = "vendor"

    def __init__(self, **content: int):
        self.content = content

    def days(self):
        return np.array(DAYS[:3], "datetime64[D]")

    def has(self, table: str, day: dt.date) -> bool:
        return table in self.content

    def load(self, table: str, day: dt.date) -> int:
        return self.content[table]

    def fingerprint(self, table: str, day: dt.date) -> str:
        return str(hash((table, day, self.content[table])))


def test_each_reason_is_named(tmp_path):
    lake, day, source = Lake(tmp_path), DAYS[10], Vendor(reference=1)
    frame = pd.DataFrame({"symbol": STOCKS})

    def reason(**facts) -> str:
        lake.write("daily_factors", day, frame, TABLES.provenance(lake, "daily_factors", day) | facts)
        return TABLES.stale_reasons(source, "daily_factors", [day], LakeSnapshot(lake)).get(day, "")

    assert reason() == ""
    assert reason(recipe="another") == "another definition"
    assert reason(inputs=None) == "nothing says what it was made from"
    marks = {"reference": source.fingerprint("reference", dt.date.fromisoformat(day))}
    assert reason(source=marks) == ""
    assert reason(source={"reference": "another"}) == "the source's reference changed"
    lake.write("daily_factors", day, frame, TABLES.provenance(lake, "daily_factors", day))
    lake.record_check_failures("daily_factors", day, ["coverage", "range"])
    seen = LakeSnapshot(lake)
    assert TABLES.stale_reasons(source, "daily_factors", [day], seen) == {day: "rejected by coverage, range"}
    file = lake.path("daily_factors", day)
    with open(file, "r+b") as raw:
        raw.truncate(20)
    assert TABLES.stale_reasons(source, "daily_factors", [day], LakeSnapshot(lake))[day].startswith("damaged: ")


def test_what_a_build_asked_of_the_source_is_recorded():
    vendor = Vendor(daily_bars=1, reference=2)
    source, day = RecordedSource(lambda: vendor), dt.date.fromisoformat(DAYS[0])
    assert source.has("daily_bars", day)
    assert source.load("daily_bars", day) == 1
    assert not source.has("trades", day)
    assert source.has("reference", day)
    marks = source.marks(DAYS[0], {DAYS[0]})
    assert marks == {"daily_bars": vendor.fingerprint("daily_bars", day), "trades": "absent", "reference": "present"}
    assert source.marks(DAYS[1], {DAYS[0], DAYS[1]}) == {}
    assert set(source.marks(DAYS[1], {DAYS[1]})) == {f"{t} {DAYS[0]}" for t in marks}  # read of another day

    assert changed_marks(vendor, DAYS[0], marks) == []
    vendor.content["reference"] = 3  # only asked for
    assert changed_marks(vendor, DAYS[0], marks) == []
    vendor.content["daily_bars"] = 5
    assert changed_marks(vendor, DAYS[0], marks) == ["daily_bars"]
    vendor.content["trades"] = 1
    del vendor.content["reference"]
    assert changed_marks(vendor, DAYS[0], marks) == ["daily_bars", "reference", "trades"]
    assert marks_of(vendor, "orders", DAYS[0]) == {"orders": "absent"}


def test_a_source_that_is_not_asked_is_not_opened():
    def fail():
        raise AssertionError("opened")

    assert RecordedSource(fail).marks("all", {"all"}) == {}
    assert getattr(RecordedSource(lambda: Vendor()), "load_day", None) is None


def spans(table: str, need: UpstreamWindow, keys: list[str]) -> list[set[str]]:
    """Each key's window, found by going through all partitions one by one."""
    up, down = TABLES[need.table].definition, TABLES[table].definition
    every = up.get_partition_keys()
    sessions = [str(d) for d in trading_days("2010-01-01")]
    out = []
    for key in keys:
        at = next(i for i, d in enumerate(sessions) if d >= key)
        low, high = sessions[max(at - need.back, 0)], sessions[min(at + need.ahead, len(sessions) - 1)]
        if up == DAILY:
            out.append({k for k in every if low <= k <= high})
        else:
            days = 7 if up == WEEKLY else 31
            ended = [k for k in every if k <= key and not holds(k, key, days)]
            out.append({k for k in ended if k >= low or holds(k, low, days)})
    assert down == DAILY
    return out


def holds(period: str, day: str, days: int) -> bool:
    """Whether a week or month holds a day."""
    if days == 7:
        return 0 <= (np.datetime64(day) - np.datetime64(period)).astype(int) < 7
    return period[:7] == day[:7]


@pytest.mark.parametrize("table", ["factor_scores", "labels", "lf_multitask", "common_factors", "hf_gru"])
def test_windows_of_many_keys_are_those_of_each(table):
    keys = [str(d) for d in trading_days("2019-12-20", "2020-01-10")]
    for need in TABLES[table].needs:
        up = TABLES[need.table].definition
        if up in (HALF_YEARLY, None):
            continue
        available = np.array(up.get_partition_keys(), dtype=object)
        first, end = TABLES._bounds(need, table, keys, available)
        found = [set(available[a:b]) for a, b in zip(first, end, strict=True)]
        assert found == spans(table, need, keys), need
        assert [set(TABLES.window(need, table, k, available)) for k in keys] == found


BARS, WEEKS, MONTHS = "daily_bars", "weekly_bars", "monthly_bars"
EDGES = [  # table and key, what it reads of which table, first and last key that it reads
    ("lf_multitask_model", "2020H1", UpstreamWindow(BARS, sessions=3), 0, "2019-12-27", "2019-12-31"),
    ("lf_multitask_model", "2020H1", UpstreamWindow(BARS), 0, "2013-01-04", "2019-12-31"),
    ("lf_multitask_model", "2020H1", UpstreamWindow(BARS, sessions=9), 2, "2019-12-19", "2019-12-27"),
    ("lf_multitask_model", "2020H1", UpstreamWindow(WEEKS, sessions=3), 0, "2019-12-23", "2019-12-30"),
    ("lf_multitask_model", "2020H1", UpstreamWindow(WEEKS, sessions=2), 0, "2019-12-30", "2019-12-30"),
    ("lf_multitask_model", "2020H1", UpstreamWindow(MONTHS, sessions=22), 0, "2019-12-01", "2019-12-01"),
    ("lf_multitask_model", "2020H1", UpstreamWindow(MONTHS, sessions=23), 0, "2019-11-01", "2019-12-01"),
    ("lf_multitask", "2020-01-02", UpstreamWindow("lf_multitask_model"), 0, "2020H1", "2020H1"),
    ("lf_multitask", "2019-12-31", UpstreamWindow("lf_multitask_model"), 0, "2019H2", "2019H2"),
    ("lf_multitask", "2020-01-08", UpstreamWindow(BARS, back=1, ahead=2), 0, "2020-01-07", "2020-01-10"),
    ("lf_multitask", "2020-01-02", UpstreamWindow(MONTHS, back=21), 0, "2019-12-01", "2019-12-01"),
    ("lf_multitask", "2020-01-23", UpstreamWindow(MONTHS, back=38), 0, "2019-11-01", "2019-12-01"),
    ("signal_study", "all", UpstreamWindow(BARS), 0, "2013-01-04", "2020-12-31"),
    (WEEKS, "2020-01-06", UpstreamWindow(BARS), 0, "2020-01-06", "2020-01-10"),
    (WEEKS, "2020-01-06", UpstreamWindow(BARS, back=1, ahead=1), 0, "2019-12-30", "2020-01-17"),
    (MONTHS, "2020-03-01", UpstreamWindow(BARS), 0, "2020-03-02", "2020-03-31"),
    (MONTHS, "2020-03-01", UpstreamWindow(BARS, back=1), 0, "2020-02-03", "2020-03-31"),
]


@pytest.mark.parametrize(("table", "key", "need", "unread", "first", "last"), EDGES)
def test_windows_begin_and_end_on_the_right_day(table, key, need, unread, first, last):
    every = {
        WEEKS: np.unique(week_of(trading_days("2013-01-04", "2020-12-31"))).astype(str),
        MONTHS: np.array([f"{y}-{m:02d}-01" for y in range(2013, 2021) for m in range(1, 13)]),
        "lf_multitask_model": np.array([f"{y}H{h}" for y in range(2016, 2021) for h in (1, 2)]),
    }.get(need.table, trading_days("2013-01-04", "2020-12-31").astype(str))
    begin, end = TABLES._bounds(need, table, [key], every.astype(object), unread)
    assert (every[begin[0]], every[end[0] - 1]) == (first, last)


@pytest.mark.parametrize("name", ["lf_multitask", "lstm", "gru_50_1_nn10"])
def test_a_training_window_holds_what_a_training_reads(name):
    """From the first day that the training reads to the eve of its half-year, no more than needed before it."""
    spec = CATALOG[name]
    since = training_since(spec, half_year_start(HALF).isoformat())
    sessions = trading_days("2010-01-01")
    cut = int(np.searchsorted(sessions, np.datetime64(half_year_start(HALF))))
    for need in training_windows(spec):
        if since is None:
            assert need.sessions is None
        else:
            first = int(np.searchsorted(sessions, np.datetime64(since)))
            assert need.sessions >= cut - first
            assert need.sessions <= cut - first + 400


def test_digests_of_windows_are_sums(lake):
    seen = LakeSnapshot(lake)
    keys = seen.keys("labels")
    at = np.arange(len(keys))
    each = seen.digest("labels", WHOLE_CONTENT, at, at + 1)
    assert len(set(each.tolist())) == len(keys)
    with np.errstate(over="ignore"):
        total = np.add.reduce(each[3:9], dtype=np.uint64)
    assert seen.digest("labels", WHOLE_CONTENT, np.array([3]), np.array([9]))[0] == total
    assert seen.digest("labels", WHOLE_CONTENT, np.array([3]), np.array([3]))[0] == 0
