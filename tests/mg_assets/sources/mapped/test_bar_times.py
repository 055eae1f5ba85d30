"""Which bar a row is, as each file shows: spacing, labels, the rows just behind a close."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import yaml

from mg_assets.errors import DataError
from mg_assets.sources.mapped.source import MappedSource
from mg_assets.sources.presets import preset_names, read_preset

DAY = dt.date(2024, 3, 4)
COLUMNS = ("symbol", "time", "open", "high", "low", "close", "volume", "amount")
MINUTES = [m for m in preset_names() if "minute" in read_preset(m) and "daily" not in read_preset(m)]


def clock(position):
    """The clock of so many minutes of trading: 120 is 11:30."""
    minute = 9 * 60 + 30 + position + 90 * (position > 120)
    return f"{minute // 60:02d}:{minute % 60:02d}:00"


def rows(labels, symbol="600000.SH", volume=100):
    return [[symbol, f"2024-03-04 {c}", 10.0, 10.0, 10.0, 10.0, volume, 10.0 * volume] for c in labels]


def ends(step=1):
    return [clock(p) for p in range(step, 241, step)]


def starts(step=1):
    return [clock(p) if p != 120 else "13:00:00" for p in range(0, 240, step)]


def source(tmp_path, made, label="end", name="20240304.csv"):
    pd.DataFrame(made, columns=list(COLUMNS)).to_csv(tmp_path / name, index=False)
    columns = {c: c for c in COLUMNS}
    (tmp_path / "m.yaml").write_text(
        yaml.safe_dump({"minute": {"files": name, "columns": columns, "label": label, "may_lack": ["amount"]}})
    )
    return MappedSource(tmp_path / "m.yaml", tmp_path)


def bars(tmp_path, made, label="end"):
    return source(tmp_path, made, label).load("minute_bars", DAY)


@pytest.mark.parametrize("label", ["end", "start"])
@pytest.mark.parametrize("written", [ends, starts])
@pytest.mark.parametrize("step", [2, 3, 5, 10, 15, 30, 60])
def test_longer_bars_are_refused_by_name(tmp_path, step, written, label):
    made = rows(written(step)) + rows(written(step), "000001.SZ")
    with pytest.raises(DataError, match=rf"20240304.csv: these are {step}-minute bars, no 1-minute bars: \S+ has"):
        bars(tmp_path, made, label)


@pytest.mark.parametrize("preset", MINUTES)
def test_every_preset_refuses_15_minute_bars(tmp_path, preset):
    section = read_preset(preset)["minute"]
    names = {ours: n if isinstance(n, str) else n[0] for ours, n in section["columns"].items()}
    code = "600000" if "exchange" in names else "600000.SH"
    frame = pd.DataFrame(rows(ends(15), code), columns=list(COLUMNS)).assign(date=20240304, exchange="SSE")
    if "date" in names:
        frame["time"] = frame["time"].str[11:]
    frame = frame[list(names)].rename(columns=names)
    if only := section.get("only"):
        frame[only["column"] if isinstance(only["column"], str) else only["column"][0]] = only["values"][0]
    frame.to_csv(tmp_path / "600000.SH_20240304.csv", index=False)
    files = {"minute": "{code}_{date}.csv"}
    with pytest.raises(DataError, match="these are 15-minute bars"):
        MappedSource(preset, tmp_path, files).load("minute_bars", DAY)


def test_one_bar_a_day_is_no_minute_bar(tmp_path):
    with pytest.raises(DataError, match="these are daily bars"):
        bars(tmp_path, [r for code in range(600000, 600004) for r in rows(["15:00:00"], f"{code}.SH")])


def test_a_stock_that_hardly_traded_is_kept(tmp_path):
    made = rows(ends()) + rows(["09:35:00", "10:30:00", "15:00:00"], "000001.SZ") + rows(["15:00:00"], "000002.SZ")
    loaded = bars(tmp_path, made)
    assert loaded.frame.symbol.unique().tolist() == ["000001.SZ", "000002.SZ", "600000.SH"]
    assert loaded.quarantine.empty


def test_one_stock_of_longer_bars_is_set_aside(tmp_path):
    made = rows(ends()) + rows(ends(), "600001.SH") + rows(ends(30), "000001.SZ")
    loaded = bars(tmp_path, made)
    assert loaded.frame.symbol.unique().tolist() == ["600000.SH", "600001.SH"]
    assert set(loaded.quarantine.reason) == {"the stock's bars are longer than a minute this day"}
    assert len(loaded.quarantine) == 8


def noon_at_1300(volume):
    made = rows([c if c != "11:30:00" else "13:00:00" for c in ends()])
    made[119][6:] = [volume, 10.0 * volume]
    return made


@pytest.mark.parametrize(("auction", "label"), [(False, "end"), (True, "end"), (False, "start")])
def test_noon_labelled_1300_is_bar_119(tmp_path, auction, label):
    made = noon_at_1300(5000) + (rows(["09:30:00"]) if auction else [])
    made[0][6:] = [700, 7000.0]
    loaded = bars(tmp_path, made, label)
    volume = loaded.frame.set_index("minute").volume
    opened = 800 if auction else 700
    assert (volume[0], volume[119], volume[120], len(loaded.quarantine)) == (opened, 5000, 100, 0)
    assert loaded.notes["remarks"][-1] == "the bar that ends at 11:30 is labelled 13:00: read so"


def test_a_stock_that_hardly_trades_keeps_its_starts(tmp_path):
    made = rows(starts()) + rows(["15:00:00"])
    for row in made:
        row[6:] = [100, 1000.0] if row[1][11:] in ("13:00:00", "14:00:00", "15:00:00") else [0, 0.0]
    loaded = bars(tmp_path, made, "start")
    assert np.flatnonzero(loaded.frame.volume).tolist() == [120, 180, 239]
    assert "remarks" not in loaded.notes


def test_1300_of_a_file_of_starts_is_bar_120(tmp_path):
    made = rows(starts())
    made[120][6:] = [5000, 50_000.0]
    loaded = bars(tmp_path, made, "start")
    volume = loaded.frame.set_index("minute").volume
    assert (volume[119], volume[120], len(loaded.quarantine)) == (100, 5000, 0)
    assert "remarks" not in loaded.notes


@pytest.mark.parametrize(("written", "said"), [(starts, "end"), (ends, "start")])
def test_labels_are_measured_where_they_are_clear(tmp_path, written, said):
    made = rows(written())
    for position, row in enumerate(made):
        row[6:] = [100 + position, 10.0 * (100 + position)]
    loaded = bars(tmp_path, made, said)
    assert loaded.frame.volume.tolist() == list(range(100, 340))
    assert len(loaded.notes["remarks"]) == 1


@pytest.mark.parametrize(
    ("label", "late", "bar"),
    [("end", "11:31:00", 119), ("start", "11:30:00", 119), ("end", "15:01:00", 239), ("end", "15:00:03", 239)],
)
def test_a_row_just_behind_a_close_joins_its_bar(tmp_path, label, late, bar):
    made = rows(ends() if label == "end" else starts()) + rows([late], volume=700)
    loaded = bars(tmp_path, made, label)
    volume = loaded.frame.set_index("minute").volume
    assert (volume[bar], volume.sum(), len(loaded.quarantine)) == (800, 24_700, 0)


def test_seconds_of_an_end_are_those_of_its_minute(tmp_path):
    made = rows([f"{c[:5]}:59" for c in starts()])
    assert bars(tmp_path, made).frame.volume.tolist() == [100] * 240


@pytest.mark.parametrize("form", ["s", "ms", "us", "ns", "float", "zone", "text"])
def test_stamps_of_any_form_give_240_bars(tmp_path, form):
    frame = pd.DataFrame(rows(ends()), columns=list(COLUMNS))
    stamps = pd.DatetimeIndex(frame["time"]).tz_localize("Asia/Shanghai")
    seconds = stamps.as_unit("s").astype("int64")
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9, "float": 10**3}
    if form in scale:
        frame["time"] = seconds * scale[form]
        frame["time"] = frame["time"].astype("float64" if form == "float" else "int64")
    else:
        frame["time"] = stamps.tz_convert("UTC").astype("str" if form == "text" else stamps.tz_convert("UTC").dtype)
    frame.to_parquet(tmp_path / "bars.parquet")
    made = source(tmp_path, frame.to_numpy().tolist(), name="bars.csv")
    for name in ("bars.parquet", "bars.csv"):
        loaded = MappedSource(tmp_path / "m.yaml", tmp_path, {"minute": name}).load("minute_bars", DAY)
        assert (len(loaded.frame), len(loaded.quarantine)) == (240, 0)
        assert loaded.frame.volume.tolist() == [100] * 240
    assert made.days().tolist() == [DAY]


def test_unreadable_times_name_their_column(tmp_path):
    made = [[*r[:1], "4/3/2024 9:31", *r[2:]] for r in rows(ends())]
    with pytest.raises(DataError, match=r"no value of column 'time' is a time .* the first is '4/3/2024 9:31'"):
        bars(tmp_path, made)


def test_bars_of_years_are_placed_at_once(tmp_path):
    """A file of a stock's many days is measured day by day: one day of longer bars does not refuse it."""
    made = []
    days = np.array(["2024-03-04", "2024-03-05", "2024-03-06"])
    for day, step in zip(days, (1, 5, 1), strict=True):
        made += [[r[0], r[1].replace("2024-03-04", day), *r[2:]] for r in rows(ends(step))]
    opened = source(tmp_path, made, name="bars.csv")
    counts = [len(opened.load("minute_bars", dt.date.fromisoformat(d)).quarantine) for d in days if d != days[1]]
    assert counts == [0, 0]
    with pytest.raises(DataError, match="longer than a minute"):
        opened.load("minute_bars", dt.date(2024, 3, 5))


@pytest.mark.parametrize(("volumes", "step"), [([100.0, 2.0], 100), ([100.0, 2.5], None)])
def test_whole_lots_have_the_step_of_a_lot(tmp_path, volumes, step):
    made = rows(ends())
    for row, volume in zip(made, np.resize(volumes, 240), strict=True):
        row[6:] = [volume, volume * 1000]
    source(tmp_path, made, name="lots.csv")
    loaded = MappedSource(tmp_path / "m.yaml", tmp_path, {"minute": "lots.csv"}, volume_unit=100)
    assert loaded.load("minute_bars", DAY).notes.get("volume_step") == step
