"""Sources of one's own: what is refused, set aside or said, where they are found, and their fingerprints."""

import datetime as dt
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError, SettingsError, SourceError
from mg_assets.settings import load_settings
from mg_assets.sources import DailySource, OwnSource, own_kinds
from mg_assets.sources.own import as_dates, conformed

DAY = dt.date(2023, 2, 1)
MINUTES = pd.DataFrame(
    {
        "symbol": ["600000.SH"] * 2 + ["000001.SZ"] * 2,
        "minute": [1, 0, 0, 1],
        **{c: [10.0, 10.0, 20.0, 20.0] for c in ("open", "high", "low", "close")},
        "volume": [100, 200, 300, 400],
        "amount": [1000.0, 2000.0, 6000.0, 8000.0],
    }
)


class Minutes(OwnSource):
    kind = "own_minutes"
    tables = ("minute_bars",)

    def __init__(self, lot: int = 1, root: str = ""):
        self.lot, self.root = lot, root

    def days(self):
        return ["2023-02-01", pd.Timestamp("2023-02-02")]

    def read(self, table, day):
        return MINUTES.assign(volume=MINUTES["volume"] * self.lot)


class Daily(DailySource):
    kind = "own_daily"

    def __init__(self, frame=None):
        self.frame = frame

    def daily(self):
        return self.frame


BARS = pd.DataFrame(
    {
        "date": ["2023-02-01", "2023-02-01", "2023-02-02"],
        "symbol": ["600000.SH", "000001.SZ", "600000.SH"],
        **{c: [10.0, 20.0, 10.5] for c in ("open", "high", "low", "close")},
        "volume": [100.0, 200.0, 100.0],
    }
)


def minutes(**changes):
    return conformed(MINUTES.assign(**changes), "minute_bars", DAY, "own")


def test_a_day_is_sorted_and_what_it_lacks_is_said():
    found = minutes()
    assert found.frame[["symbol", "minute", "volume"]].to_numpy().tolist() == [
        ["000001.SZ", 0, 300], ["000001.SZ", 1, 400], ["600000.SH", 0, 200], ["600000.SH", 1, 100],
    ]  # fmt: skip
    assert found.notes == {"source": "own", "absent_columns": ["num_trades"], "quarantined": 0}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (MINUTES.rename(columns={"volume": "vol"}), "has the column vol, .*: rename or drop it; did you mean volume"),
        (MINUTES.drop(columns="amount"), "lacks amount; needed are symbol, minute, open"),
        (MINUTES.assign(close=np.nan), "close is null in all 4 rows"),
        (MINUTES.assign(symbol="600000"), r"4 of 4 rows are invalid, the first is row 1 \(600000\): the symbol is not"),
        (MINUTES.assign(minute=240), "the minute is not in 0..239"),
        (MINUTES.assign(volume=0.5), "volume is no whole number"),
    ],
)
def test_a_table_that_cannot_be_is_refused(frame, message):
    with pytest.raises(DataError, match=f"^source 'own': minute_bars on 2023-02-01.*{message}"):
        conformed(frame, "minute_bars", DAY, "own")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"close": [None, 10.0, 20.0, 20.0]}, "close is null"),
        ({"close": ["abc", 10.0, 20.0, 20.0]}, "close is no number"),
        ({"amount": [np.inf, 1.0, 1.0, 1.0]}, "amount is infinite"),
        ({"minute": [0, 0, 0, 1]}, "the symbol and minute of a row before"),
        ({"symbol": ["sh600000", "600000.SH", "000001.SZ", "000001.SZ"]}, "the symbol is not as 600000.SH"),
    ],
)
def test_rows_that_cannot_be_are_set_aside_with_the_reason(changes, reason):
    found = minutes(**changes)
    assert found.quarantine["reason"].tolist() == [reason]
    assert len(found.frame) == 3


def test_times_of_another_zone_are_shanghais():
    rows = pd.DataFrame(
        {
            "symbol": ["600000.SH", "600000.SH", "600000.SH"],
            "time": pd.to_datetime(["2023-02-01 01:30:00Z", "2023-02-01 01:31:00Z", "2023-02-02 01:30:00Z"]),
            **dict.fromkeys(("price", "volume", "buy_order", "sell_order", "side"), 1),
        }
    )
    found = conformed(rows, "trades", DAY, "own")
    assert found.frame["time"].astype(str).tolist() == ["2023-02-01 09:30:00", "2023-02-01 09:31:00"]
    assert found.quarantine["reason"].tolist() == ["the time is not of 2023-02-01"]
    assert found.frame["seq"].tolist() == [0, 1]


def test_daily_bars_of_a_day_say_their_stand_ins():
    frame = BARS[BARS["date"] == "2023-02-01"].drop(columns="date")
    found = conformed(frame, "daily_bars", DAY, "own")
    assert found.frame["adj_factor"].tolist() == [1.0, 1.0]
    assert found.frame["suspended"].tolist() == [False, False]
    assert {"adj_factor", "st", "up_limit", "amount"} <= set(found.notes["absent_columns"])


def test_a_history_is_derived_as_mapped_tables_are():
    source = Daily(BARS)
    assert source.days().astype(str).tolist() == ["2023-02-01", "2023-02-02"]
    found = source.load("daily_bars", dt.date(2023, 2, 2))
    row = found.frame.set_index("symbol").loc["600000.SH"]
    assert (row["prev_close"], row["up_limit"], row["volume"]) == (10.0, 11.0, 100)
    assert "adj_factor" in found.notes["absent_columns"]
    zoned = BARS.assign(date=pd.to_datetime(["2023-01-31 16:00Z", "2023-01-31 16:00Z", "2023-02-01 16:00Z"]))
    assert Daily(zoned).days().astype(str).tolist() == ["2023-02-01", "2023-02-02"]
    with pytest.raises(DataError, match=r"source 'own_daily': daily\(\) lacks close; needed are date, symbol"):
        Daily(BARS.drop(columns="close")).days()
    with pytest.raises(SourceError, match=r"source 'own_daily': daily\(\) gave NoneType, no DataFrame"):
        Daily().days()


TWO_DAYS = pd.DataFrame(
    {
        "date": ["2023-02-01", "2023-02-02"],
        "symbol": "600000.SH",
        **dict.fromkeys(("open", "high", "low", "close"), 10.0),
        "volume": 100.0,
    }
)


@pytest.mark.parametrize("form", [int, float, str])
def test_dates_as_numbers_are_dates(form):
    """Once 20230201 was a count of nanoseconds: all bars stood on 1970-01-01."""
    wanted = [dt.date(2023, 2, 1), dt.date(2023, 2, 2)]
    frame = TWO_DAYS.assign(date=TWO_DAYS["date"].str.replace("-", "").astype(form))
    assert [day.item() for day in Daily(frame).days()] == wanted
    assert as_dates(frame["date"], "mine") == as_dates(frame["date"].to_numpy(), "mine") == wanted
    with pytest.raises(SourceError, match="days\\(\\) gave 'Monday'; a date was expected"):
        as_dates(["2023-02-01", "Monday"], "mine")


def test_text_among_flags_is_refused():
    """Once any text was true: every row with ``N`` was suspended."""
    flags = Daily(TWO_DAYS.assign(st=[0, 1], suspended=[None, True])).load("daily_bars", dt.date(2023, 2, 2)).frame
    assert flags[["st", "suspended"]].to_numpy().tolist() == [[True, True]]
    with pytest.raises(DataError, match=r"daily\(\): st was 'N'; true or false, or 1 or 0, was expected"):
        Daily(TWO_DAYS.assign(st="N")).days()


def test_fingerprint_is_of_rows_options_and_code():
    one = Minutes().fingerprint("minute_bars", DAY)
    assert Minutes().fingerprint("minute_bars", DAY) == one
    assert Minutes(lot=100).fingerprint("minute_bars", DAY) != one
    assert Minutes(root="/tmp").fingerprint("minute_bars", DAY) == one  # a folder is no content
    other = Daily(BARS.assign(volume=[100.0, 200.0, 300.0]))
    for day, same in (("2023-02-01", True), ("2023-02-02", False)):
        at = ("daily_bars", dt.date.fromisoformat(day))
        assert (Daily(BARS).fingerprint(*at) == other.fingerprint(*at)) is same


def test_error_of_a_users_method_is_one_line():
    class Broken(Minutes):
        kind = "own_broken"

        def read(self, table, day):
            return pd.DataFrame()["lacking"]

    with pytest.raises(SourceError, match=r"^source 'own_broken': read\(minute_bars, 2023-02-01\): .*test_own_source"):
        Broken().load("minute_bars", DAY)


def test_kinds_are_classes_of_modules():
    found = ModuleType("own_kinds_of_this_test")
    found.Minutes, found.Daily, found.DailySource, found.text = Minutes, Daily, DailySource, "text"
    assert own_kinds([found]) == {"own_minutes": Minutes, "own_daily": Daily}
    for kind, message in (
        (
            type("Wrong", (OwnSource,), {"kind": "own_wrong", "tables": ("minute_bar",)}),
            "has no table minute_bar; did you",
        ),
        (type("Wrong", (OwnSource,), {"kind": "own_wrong", "tables": ("minute_bars",)}), "lacks days, read"),
    ):
        vars(found)["Wrong"] = kind
        with pytest.raises(SourceError, match=rf"source 'own_wrong' \(Wrong\) {message}"):
            own_kinds([found])
    vars(found)["Wrong"] = type("Wrong", (Daily,), {"kind": "qlib"})
    with pytest.raises(SourceError, match="source kind 'qlib' of Wrong is taken"):
        own_kinds([found])


FILE = """from mg_assets.sources import DailySource


class Vendor(DailySource):
    kind = "own_vendor"

    def __init__(self, root: str, lot: int = 100):
        self.root, self.lot = root, lot
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{kind: own_vendr, root: x}", "source.kind was 'own_vendr'; did you mean own_vendor?"),
        ("{kind: own_vendor, rot: x}", "source.rot is unknown; did you mean root?"),
        ("{kind: own_vendor}", "source.root is needed"),
        ("{kind: composite, sources: [{kind: own_vendor}]}", r"source.sources\[0\].root is needed"),
    ],
)
def test_settings_check_a_kind_of_ones_own(tmp_path, monkeypatch, source, message):
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_vendor_file.py").write_text(FILE)
    (tmp_path / "s.yaml").write_text(f"extensions: [own_vendor_file.py]\nsource: {source}\n")
    try:
        with pytest.raises(SettingsError, match=message):
            load_settings(str(tmp_path / "s.yaml"))
        (tmp_path / "s.yaml").write_text(
            "extensions: [own_vendor_file.py]\nsource: {kind: own_vendor, root: x, lot: 1}"
        )
        assert load_settings(str(tmp_path / "s.yaml")).source.options == {"root": "x", "lot": 1}
    finally:
        sys.modules.pop("own_vendor_file", None)
