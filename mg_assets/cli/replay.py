"""``mg replay``: replay a day's order books and compare them with the vendor's snapshots."""

import argparse
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

from mg_assets.errors import DataError
from mg_assets.settings import settings

if TYPE_CHECKING:  # numba and pandas are loaded only by a replay
    import pandas as pd

    from mg_assets.lake.store import Lake
    from mg_assets.replay.agreement import DayReplay
    from mg_assets.replay.stock import Alignment
    from mg_assets.settings import Settings

WORST = 20  # stocks listed
WINDOW = {
    "before": "milliseconds before a snapshot's stamp that its state may have been on show (3000)",
    "after": "milliseconds after the stamp (1000)",
    "fixed": "milliseconds after the stamp of the fixed alignment (500)",
}


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg replay`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "replay",
        help="replay a day's order books and compare them with snapshots",
        description="Replay a day's order books from orders and trades, of the lake or else of the source, and compare "
        "them with the vendor's snapshots. Exit code 1 where something disagrees.",
    )
    parser.add_argument("day", help="trading day, 2023-02-01")
    parser.add_argument("--symbol", action="append", help="a stock, 600519.SH; may be repeated. By default all")
    parser.add_argument(
        "--rows", metavar="N", type=int, default=3, help="rows shown on both sides of a disagreement (3)"
    )
    parser.add_argument("--shown", metavar="N", type=int, default=3, help="disagreements shown of each stock (3)")
    for name, text in WINDOW.items():
        parser.add_argument(f"--{name}", metavar="MS", type=int, help=text)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Replay a day of the lake, or of the source where the lake lacks it; 1 where something disagrees."""
    from mg_assets.lake.store import Lake
    from mg_assets.market.calendar import trading_days
    from mg_assets.replay.stock import Alignment

    config = settings()
    given = {name: getattr(chosen, name) for name in WINDOW if getattr(chosen, name) is not None}
    try:
        day = dt.date.fromisoformat(chosen.day)
    except ValueError as error:
        raise DataError(f"{chosen.day!r} is no date; give one as 2023-02-01") from error
    if not len(trading_days(day, day)):
        raise DataError(f"{day} is no trading day of the exchanges' calendar")
    result, tables = _replay(Lake(config.lake_url), config, day, chosen.symbol, Alignment(**given))
    return _report(result, tables, chosen.rows, chosen.shown)


def _replay(
    lake: "Lake", config: "Settings", day: dt.date, symbols: list[str] | None, alignment: "Alignment"
) -> "tuple[DayReplay, Callable[[str], tuple[pd.DataFrame, pd.DataFrame]]]":
    """The replay, and a function that gives one stock's orders and trades."""
    from mg_assets.replay.agreement import replay, replay_day
    from mg_assets.sources import build_source

    key = day.isoformat()
    if all(key in lake.keys(t) for t in ("orders", "trades")):
        print(f"{key} of the lake {lake.root}")
        result = replay_day(lake, key, symbols, alignment)
        return result, lambda symbol: (
            lake.stock("orders", key, symbol).to_pandas(),
            lake.stock("trades", key, symbol).to_pandas(),
        )
    source = build_source(config.source.kind, config.source.options)
    lacking = [t for t in ("orders", "trades") if not source.has(t, day)]
    if lacking:
        raise DataError(f"{key}: neither the lake {lake.root} nor source {source.name!r} has {' and '.join(lacking)}")
    print(f"{key} of source {source.name}")
    frames = {t: source.load(t, day).frame for t in ("orders", "trades", "snapshots") if source.has(t, day)}
    if symbols is not None:
        frames = {t: f[f["symbol"].isin(symbols)] for t, f in frames.items()}
    result = replay(frames["orders"], frames["trades"], frames.get("snapshots"), alignment=alignment)
    return result, lambda symbol: (
        frames["orders"][frames["orders"]["symbol"] == symbol],
        frames["trades"][frames["trades"]["symbol"] == symbol],
    )


def _report(result: "DayReplay", tables: Callable, rows: int, shown: int) -> int:
    from mg_assets.replay.book import FAULTS

    stocks = result.by_stock()
    if not len(stocks):
        raise DataError("no stock to replay: no orders, or none of the given stocks")
    agreement = result.agreement()
    faults = int(stocks[list(FAULTS)].to_numpy().sum())
    print(f"{len(stocks)} stocks, {int(stocks['events'].sum()):,} orders, cancels and trades; {faults} faults")
    for name in FAULTS:
        if stocks[name].sum():
            print(f"  {name}: {int(stocks[name].sum())} in {int((stocks[name] > 0).sum())} stocks")
    if result.without_orders:
        print(
            f"{len(result.without_orders)} stocks have snapshots and no orders: {', '.join(result.without_orders[:10])}"
        )
    if not len(agreement):
        print("no snapshots to compare the books with")
        return int(faults > 0)
    table = agreement.pivot(index="field", columns="phase", values="share").reindex(
        index=agreement["field"].unique(), columns=agreement["phase"].unique()
    )
    compared = agreement[agreement["field"] == "everything"].set_index("phase")["compared"]
    table.loc["snapshots compared"] = compared.reindex(table.columns)
    fixed = agreement[agreement["field"] == "level_1"].set_index("phase")["fixed_share"]
    table.loc["level_1, fixed moment"] = fixed.reindex(table.columns)
    print(table.to_string(float_format=lambda v: f"{v:.0f}" if v > 1 else f"{v:.3%}", na_rep="", col_space=14))
    worse = stocks[stocks["everything"] < 1].sort_values("level_1").head(WORST)
    if len(worse):
        print(f"\nthe {len(worse)} stocks that agree least")
        print(worse[["symbol", "events", "snapshots", "level_1", "everything", "no_state"]].to_string(index=False))
    _disagreements(result, tables, rows, shown)
    return int(bool(len(worse)))


def _disagreements(result: "DayReplay", tables: Callable, rows: int, shown: int) -> None:
    from mg_assets.replay.agreement import around

    found = result.disagreements(shown)
    for (symbol, time, event), part in list(found.groupby(["symbol", "time", "event"], sort=False))[:WORST]:
        print(f"\n{symbol} {time:%H:%M:%S}, {part['phase'].iloc[0]}: {'no such state' if event < 0 else 'best state'}")
        print(part[["field", "ours", "theirs"]].to_string(index=False))
        if event >= 0:
            columns = ["event", "table", "time", "seq", "order_id", "kind", "side", "price", "volume", "buy_order",
                       "sell_order"]  # fmt: skip
            orders, trades = tables(symbol)
            print(around(orders, trades, symbol, int(event), rows)[columns].to_string(index=False, na_rep=""))
