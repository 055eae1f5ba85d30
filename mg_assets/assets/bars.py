"""Minute, daily, weekly and monthly bars."""

from collections.abc import Iterator

import pandas as pd

from mg_assets import factors
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import month_of, trading_days, week_of
from mg_assets.market.schema import MINUTE_BARS, PERIOD_BARS
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.lineage import same_columns
from mg_assets.orchestration.metadata import note_text
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.orchestration.partitions import MONTHLY, WEEKLY
from mg_assets.sources.base import stored_notes

NO_REFERENCE = "no reference this day: reference price, limits and float shares are null, the adjustment factor is 1"
_FROM_REFERENCE = ("adj_factor", "up_limit", "down_limit", "float_shares")
_PRICES = ("open", "high", "low", "close")
_SEQUENCE = ("trades.time", "trades.seq", "trades.price", "trades.volume")  # rows without price or volume do not count
MINUTE_LINEAGE = {
    "symbol": ("trades.symbol",),
    "minute": ("trades.time",),
    **dict.fromkeys(_PRICES, (*_SEQUENCE, "reference.prev_close")),
    "volume": ("trades.time", "trades.price", "trades.volume"),
    "amount": ("trades.time", "trades.price", "trades.volume"),
    "num_trades": ("trades.time", "trades.price", "trades.volume"),
}
DAILY_LINEAGE = {
    "symbol": ("reference.symbol",),
    "open": ("minute_bars.minute", "minute_bars.open", "minute_bars.volume", "reference.prev_close"),
    "high": ("minute_bars.high", "minute_bars.volume", "reference.prev_close"),
    "low": ("minute_bars.low", "minute_bars.volume", "reference.prev_close"),
    "close": ("minute_bars.minute", "minute_bars.close", "minute_bars.volume", "reference.prev_close"),
    "vwap": ("minute_bars.amount", "minute_bars.volume"),
    "volume": ("minute_bars.volume",),
    "amount": ("minute_bars.amount", "minute_bars.volume"),
    "num_trades": ("minute_bars.num_trades", "minute_bars.volume"),
    "prev_close": ("reference.prev_close",),
    **same_columns("reference", _FROM_REFERENCE),
    "suspended": ("reference.suspended", "minute_bars.volume"),
    "st": ("reference.st",),
}
_TRADED = ("daily_bars.volume", "daily_bars.close", "daily_bars.adj_factor")  # what a day without trades is known by
PERIOD_LINEAGE = {
    "symbol": ("daily_bars.symbol",),
    **{name: tuple(dict.fromkeys((f"daily_bars.{name}", *_TRADED))) for name in _PRICES},
    "vwap": ("daily_bars.vwap", "daily_bars.amount", *_TRADED),
    "volume": _TRADED,
    "amount": ("daily_bars.amount", *_TRADED),
    "num_trades": ("daily_bars.num_trades", *_TRADED),
    "prev_close": ("daily_bars.prev_close", "daily_bars.adj_factor"),
    "adj_factor": (),
    "up_limit": (),
    "down_limit": (),
    "suspended": _TRADED,
    "st": ("daily_bars.st",),
    "float_shares": ("daily_bars.float_shares", "daily_bars.adj_factor"),
}
"""A period's adjustment factor is 1, and it has no limits."""


@lake_asset(
    "minute_bars",
    group="bars",
    lineage=MINUTE_LINEAGE,
    needs=["trades", "reference"],
    kinds={"numba"},
)
def minute_bars(build: Build) -> Iterator[Built]:
    """240 one-minute bars of every stock that traded, built from its trades (auctions in bars 0 and 239).

    Straight from the source where that has minute bars and no trades.
    """
    source = build.source
    threads = build.workers if len(build.keys) == 1 else 1  # else so many days are made at once

    def make(key: str) -> Built:
        day = pd.Timestamp(key).date()
        found = factors.day_pass(build.lake.file("trades", key), minutes=True, threads=threads)
        if found.rows:
            close = build.lake.day("reference", key, ["symbol", "prev_close"]).set_index("symbol")["prev_close"]
            return Built(key, found.minute_bars(close), {"from": "trades"})
        if source.has("minute_bars", day):
            loaded = source.load("minute_bars", day)
            shown = {"from": f"source {source.name}"}
            return Built(key, loaded.frame, shown, loaded.quarantine, stored_notes(loaded), unread=("reference",))
        return Built(key, MINUTE_BARS.empty_table(), {"absent": "neither trades nor minute bars this day"})

    return build.each(make)


@lake_asset("daily_bars", group="bars", needs=["minute_bars", "reference"], lineage=DAILY_LINEAGE, version="2")
def daily_bars(build: Build) -> Iterator[Built]:
    """Raw daily bars of every listed stock, with the adjustment factor, limits, suspension and ST of the day.

    Straight from the source where it has them, else from minute bars; without a reference, of the stocks that have
    these, with 1 as the adjustment factor and nulls for what a reference gives.
    """
    source = build.source

    def make(key: str) -> Built:
        day = pd.Timestamp(key).date()
        if source.has("daily_bars", day):
            loaded = source.load("daily_bars", day)
            notes = {f"note: {k}": note_text(v) for k, v in loaded.notes.items()}
            shown = {"from": f"source {source.name}", **notes}
            unread = ("minute_bars", "reference")
            return Built(key, loaded.frame, shown, loaded.quarantine, stored_notes(loaded), unread=unread)
        minutes = build.lake.day("minute_bars", key)
        if len(minutes):
            reference = build.lake.day("reference", key)
            frame = factors.daily_from_minutes(minutes, reference)
            absent = {} if len(reference) else {"absent": NO_REFERENCE}
            return Built(key, frame, {"from": "minute bars", **absent})
        return Built(key, PERIOD_BARS.empty_table(), {"absent": "neither minute nor daily bars this day"})

    return build.each(make)


def _period(lake: Lake, key: str, days: list[str]) -> Built:
    daily = lake.read("daily_bars", days, missing="skip")
    if daily.empty:
        return Built(key, PERIOD_BARS.empty_table(), {"absent": f"no daily bars from {days[0]} to {days[-1]}"})
    found = sorted(daily["date"].unique())
    frame = factors.period_bars(daily)
    return Built(
        key, frame, {"sessions": len(found), "sessions_of_period": len(days), "last_session": str(found[-1])[:10]}
    )


@lake_asset(
    "weekly_bars", group="bars", partitions=WEEKLY, needs=["daily_bars"], single_run=True, lineage=PERIOD_LINEAGE
)
def weekly_bars(build: Build) -> Iterator[Built]:
    """Bars of a calendar week on adjusted prices; of the week to date while it lasts. Adjusted price = raw * factor."""
    days = trading_days()
    weeks = week_of(days).astype(str)
    return build.each(lambda key: _period(build.lake, key, list(days[weeks == key].astype(str))))


@lake_asset("monthly_bars", group="bars", partitions=MONTHLY, needs=["daily_bars"], lineage=PERIOD_LINEAGE)
def monthly_bars(build: Build) -> Iterator[Built]:
    """Bars of a calendar month on adjusted prices; of the month to date while it lasts."""
    days = trading_days()
    months = month_of(days).astype(str)
    return build.each(lambda key: _period(build.lake, key, list(days[months == key].astype(str))))


ASSETS = [minute_bars, daily_bars, weekly_bars, monthly_bars]
