"""Scores of a user's own file: long or wide, any usual form of dates and symbols, a digest for each day."""

import gzip
import os

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.modelling.score_tables import scores_of
from mg_assets.modelling.signals import of_table
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.orchestration.partitions import DAILY
from mg_assets.orchestration.staleness import TableAsset, TableRegistry
from mg_assets.settings.catalogs import TableSignal

DAYS = ["2023-01-03", "2023-01-04", "2023-01-05"]
STOCKS = ["000001.SZ", "600000.SH"]
VALUES = np.array([[0.5, -1.0], [np.nan, 2.0], [3.0, 4.0]])
LONG = pd.DataFrame(
    [(d, s, VALUES[i, k]) for i, d in enumerate(DAYS) for k, s in enumerate(STOCKS)],
    columns=["date", "symbol", "score"],
)


def written(folder, frame, name="scores.csv", **columns) -> TableSignal:
    path = folder / name
    frame.to_parquet(path) if name.endswith(".parquet") else frame.to_csv(path, index=False)
    return TableSignal("mine", str(path), **columns)


WIDE = pd.DataFrame(VALUES, columns=STOCKS, index=pd.DatetimeIndex(DAYS, name="date"))
ZONED = LONG.assign(date=pd.to_datetime(LONG["date"]).dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC"))
FORMS = {
    "long.csv": (LONG, {}),
    "compact.csv": (LONG.assign(date=LONG["date"].str.replace("-", ""), symbol=LONG["symbol"].str[:6]), {}),
    "vendor.csv": (
        LONG.set_axis(["day", "code", "alpha"], axis=1),
        {"date": "day", "symbol": "code", "score": "alpha"},
    ),
    "stamps.parquet": (LONG.assign(date=pd.to_datetime(LONG["date"])), {}),
    "zoned.parquet": (ZONED, {}),
    "indexed.parquet": (LONG.set_index(["date", "symbol"]), {}),
    "filtered.parquet": (LONG.set_index(pd.Index([9, 7, 5, 3, 2, 0])), {}),
    "unnamed.parquet": (LONG.set_index(["date", "symbol"]).rename_axis([None, None]), {}),
    "wide_unnamed.parquet": (WIDE.rename_axis(None), {}),
    "wide.csv": (WIDE.reset_index(), {}),
    "wide.parquet": (WIDE.rename(columns={"000001.SZ": "SZ000001", "600000.SH": "600000.XSHG"}), {}),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_scores(tmp_path, name):
    frame, columns = FORMS[name]
    found = scores_of(written(tmp_path, frame, name, **columns))
    assert list(found.days) == DAYS
    assert found.days["2023-01-04"].to_dict("list") == {"symbol": ["600000.SH"], "score": [2.0]}
    assert found.days["2023-01-05"].to_dict("list") == {"symbol": STOCKS, "score": [3.0, 4.0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(date="2023-01-01"), "line 2: date was '2023-01-01' .6 rows.; a trading day was expected"),
        (
            lambda t: t.assign(date=["soon", *t["date"][1:]]),
            "line 2: date was 'soon'; a date as 2023-12-29 was expected",
        ),
        (
            lambda t: t.assign(symbol=[*t["symbol"][:5], "?"]),
            "line 7: symbol was '.'; a stock as 600000.SH was",
        ),
        (lambda t: t.assign(score=[*t["score"][:5], "x"]), "line 7: score was 'x'; a finite number was expected"),
        (lambda t: t.assign(score=[np.inf, *t["score"][1:]]), "line 2: score was 'inf'; a finite number was expected"),
        (lambda t: pd.concat([t, t[-1:]]), "line 8: 600000.SH has a second score on 2023-01-05"),
        (lambda t: t.assign(date=[*t["date"][:5], None]), "line 7: date was empty; a date as 2023-12-29 was expected"),
        (lambda t: t.rename(columns={"score": "scores"}), "has no column 'score'; did you mean scores"),
        (
            lambda t: t.set_axis(["a", "b", "c"], axis=1),
            "columns date, symbol and score, or a row a day and a col",
        ),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(tmp_path, change, message):
    with pytest.raises(DataError, match=message) as error:
        scores_of(written(tmp_path, change(LONG)))
    assert str(error.value).startswith(f"signal mine: {tmp_path}/scores.csv")
    assert "\n" not in str(error.value)


TEXTS = {
    "date,symbol,score\n\n2023-01-03,600000.SH,1\n2023-01-04,600000.SH,x\n": "line 4: score was 'x'; a finite number",
    "\n600000.SH,date\n1,2023-01-03\n1,soon\n": "line 4: date was 'soon'; a date as 2023-12-29 was expected",
    "date,symbol,score\n2023-01-03,600000.SH\n": "line 2: 2 fields where the header has 3; correct or end this line",
    "date,symbol,score\n2023-01-03,600000.SH,12": "line 2: the file ends inside 'score', without a line end",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_is_the_one_that_an_editor_shows(tmp_path, text, packed):
    path = tmp_path / ("scores.csv.gz" if packed else "scores.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    with pytest.raises(DataError, match=f"^signal mine: {path}, {TEXTS[text]}"):
        scores_of(TableSignal("mine", str(path)))


def test_a_row_of_a_parquet_file_counts_from_1(tmp_path):
    with pytest.raises(DataError, match=r"scores.parquet, row 1: date was 'soon'; a date"):
        scores_of(written(tmp_path, LONG.assign(date=["soon", *LONG["date"][1:]]), "scores.parquet"))


@pytest.mark.parametrize(
    ("name", "message"), [("absent.csv", "cannot be read: No such file"), ("scores.xls", "a file ending in .parquet, ")]
)
def test_files_that_are_none_are_named(tmp_path, name, message):
    (tmp_path / "scores.xls").write_text("")
    with pytest.raises(DataError, match=message):
        scores_of(TableSignal("mine", str(tmp_path / name)))


def test_a_day_without_rows_says_so(tmp_path):
    made = of_table(written(tmp_path, LONG), "2023-01-06")
    assert made.why.endswith("has no scores of this day")
    assert of_table(written(tmp_path, LONG), DAYS[0]).certificate["inputs"]["file"]["last"] == DAYS[0]


def test_a_changed_file_makes_exactly_the_changed_days_stale(tmp_path):
    signal = written(tmp_path, LONG)
    lake = Lake(tmp_path / "lake")

    def digest(key):
        return scores_of(signal).digests.get(key, "absent")

    registry = TableRegistry([TableAsset("mine", DAILY, (), "1", None, (), False, files=digest)])
    keys = [*DAYS, "2023-01-06"]
    for key in keys:
        made = of_table(signal, key)
        lake.write("mine", key, made.frame, {**registry.provenance(lake, "mine", key), "files": digest(key)})
    assert registry.stale(lake, None, "mine", keys) == []
    changed = LONG.assign(score=[*LONG["score"][:3], 2.5, *LONG["score"][4:]])
    written(tmp_path, pd.concat([changed, pd.DataFrame([("2023-01-06", STOCKS[0], 1.0)], columns=LONG.columns)]))
    os.utime(signal.path, ns=(1, 1))
    found = registry.stale_reasons(None, "mine", keys, LakeSnapshot(lake))
    assert found == dict.fromkeys(("2023-01-04", "2023-01-06"), "its file changed")


def test_two_tables_of_one_name_are_refused():
    twice = TableAsset("mine", DAILY, (), "1", None, (), False)
    with pytest.raises(DataError, match="two assets make the table mine; rename"):
        TableRegistry([twice, twice])
