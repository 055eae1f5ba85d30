"""The shortest journeys, in the suite that always runs: some days of daily bars, and a day of ticks that is cut off."""

import datetime as dt

import exported
import vendor_exports


def test_daily_bars_of_some_days_end_in_factors(journey):
    made = vendor_exports.market("2023-03-06", "2023-03-07", 2)
    vendor_exports.baostock(made, journey.folder)
    printed = journey.ingest()
    assert "builds: daily bars of 2 days 2023-03-06..2023-03-07, 2 stocks" in printed
    done = journey.follow(printed)
    assert "rejects" not in done
    days = made.days.astype(str).tolist()
    lake = journey.lake
    for table in ("daily_bars", "daily_factors", "common_factors", "labels"):
        assert lake.keys(table) == days, table
    for day, closes in zip(days, made.close, strict=True):
        assert lake.day("daily_bars", day)["close"].tolist() == closes.tolist()
    assert lake.rows("weekly_bars", days[0]) == len(made.symbols)


def test_a_run_that_would_be_refused_is_not_printed(journey):
    """Trades that end at 10:00: the check of the session rejects the only day."""
    made = exported.exported(dt.date(2023, 2, 1), journey.folder, 40)
    for stem, path in made.items():
        if stem != "Transaction":
            path.unlink()
    path = made["Transaction"]
    header, *lines = path.read_text().splitlines()
    at = header.split(",").index("TradTime")
    kept = [line for line in lines if line.split(",")[at] < "10:00"]
    assert 0 < len(kept) < len(lines)
    path.write_text("\n".join([header, *kept]) + "\n")
    printed = journey.ingest(code=1)
    assert "rejected: trades of 2023-02-01: a run reads no day that session rejects" in printed
    assert "accepted: {trades: {session: [2023-02-01]}}" in printed
    assert "continue with" not in printed
