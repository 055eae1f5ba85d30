"""Checks for invalid rows of a tick stream, and the quarantine table of those that fail."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mg_assets.sources.io.read_file import FileData
from mg_assets.sources.io.times import OTHER_DAY, UNREADABLE
from mg_assets.sources.level2.stream_formats import ADD, CANCEL, FILL, LIMIT, STATUS, StreamFormat
from mg_assets.sources.quarantine import contents_of, merge_quarantines, quarantine_frame

FIRST_MS = (9 * 60 + 15) * 60_000
LAST_MS = (15 * 60 + 30) * 60_000 + 59_999  # after-hours fixed-price trading ends at 15:30
MAX_NUMBER = 1 << 43  # order numbers are packed with the code into one int64
UNKNOWN = -100
A_SHARES = {"SH": ((600000, 609999), (680000, 689999)), "SZ": ((1, 4999), (300000, 309999))}
INTEGERS = ("code", "channel", "seq", "order_id", "buy_order", "sell_order", "volume")


def is_stock(code: np.ndarray, exchange: str) -> np.ndarray:
    """Whether codes of the exchange are A-shares."""
    mask = np.zeros(len(code), bool)
    for low, high in A_SHARES[exchange]:
        mask |= (code >= low) & (code <= high)
    return mask


def checks_of(
    name: str,
    stream: StreamFormat,
    raw: dict[str, np.ndarray],
    missing: dict[str, np.ndarray],
    unparsed: dict[str, np.ndarray],
) -> list[tuple[np.ndarray, str]]:
    """Masks of rows that fail a check, and the reasons, the most informative first."""
    none = np.zeros(len(raw["code"]), bool)
    vendor = {ours: c.names[0] for ours, c in stream.columns.items()}
    kind = raw.get("kind")
    status = kind == STATUS if kind is not None and STATUS in stream.codes["kind"].values() else none
    checks = [(bad & ~status, f"{vendor[c]} is no number") for c, bad in unparsed.items()]
    checks += [(missing[c] & ~status, f"{vendor[c]} is empty") for c in INTEGERS if c in missing and c != "channel"]
    time, clock = raw["time"], vendor["time"]
    checks.append((time == OTHER_DAY, f"{clock} is on another day"))
    checks.append(((time == UNREADABLE) & ~status, f"{clock} is no time"))
    checks.append((((time < FIRST_MS) | (time > LAST_MS)) & ~status, f"{clock} is outside 09:15-15:30"))
    if kind is not None:
        checks.append((kind == UNKNOWN, f"{vendor['kind']} is an unknown code"))
    if "side" in raw:
        checks.append(((raw["side"] == UNKNOWN) & ~status, f"{vendor['side']} is an unknown code"))
    checks.append(((raw["volume"] <= 0) & ~status, f"{vendor['volume']} is not positive"))
    price_bad = ~(raw["price"] > 0) | np.isinf(raw["price"])
    if name == "sz_orders":
        price_bad &= kind == LIMIT
    elif name == "sz_trades":
        price_bad &= kind == FILL
    elif name == "sh_orders":
        price_bad &= kind == ADD
    elif name == "sh_merged":
        price_bad &= (kind == ADD) | (kind == FILL)
    checks.append((price_bad, f"{vendor['price']} is not positive"))
    for column in ("seq", "order_id", "buy_order", "sell_order"):
        if column in raw:
            low = 0 if column in ("buy_order", "sell_order") else 1
            outside = (raw[column] < low) | (raw[column] >= MAX_NUMBER)
            checks.append((outside & ~status, f"{vendor[column]} is outside [{low}, 2^43)"))
    if name == "sz_trades":
        one = (raw["buy_order"] == 0) != (raw["sell_order"] == 0)
        checks.append(((kind == CANCEL) & ~one, "a cancel names not exactly one order"))
    if name == "sh_orders":
        checks.append(((raw["side"] == 0) & ~status, f"{vendor['side']} of an order is neither buy nor sell"))
    if name == "sh_merged":
        own = np.where(raw["side"] > 0, raw["buy_order"], raw["sell_order"])
        entry = (kind == ADD) | (kind == CANCEL)
        checks.append((entry & (raw["side"] == 0), f"{vendor['side']} of an order is neither buy nor sell"))
        checks.append((entry & (own == 0), "the order's own side has no order number"))
    return checks


def quarantine_rows(
    name: str,
    stream: StreamFormat,
    data: FileData,
    raw: dict[str, np.ndarray],
    missing: dict[str, np.ndarray],
    bad: np.ndarray,
    which: np.ndarray,
    checks: Sequence[tuple[np.ndarray, str]],
) -> pd.DataFrame:
    """Quarantine table of a block's invalid rows and of the lines that are no rows."""
    at = np.flatnonzero(bad)
    source = data.text if data.text is not None else data.table
    frames = []
    if len(at):
        symbols = [
            f"{c:06d}.{stream.exchange}" if not m else None
            for c, m in zip(raw["code"][at].tolist(), missing["code"][at].tolist(), strict=True)
        ]
        kinds = raw["kind"][at] if "kind" in raw else None
        frame = quarantine_frame(
            "trades",
            data.path,
            data.row_numbers(at),
            [checks[i][1] for i in which[at]],
            contents_of(source, at),
            symbols,
        )
        frame["table"] = np.where(belongs_to_orders(name, kinds, len(at)), "orders", "trades")
        frames.append(frame)
    if data.broken:
        home = "orders" if name in ("sh_orders", "sz_orders") else "trades"
        frames.append(quarantine_frame(home, data.path, *data.broken_rows))
    return merge_quarantines(frames)


def belongs_to_orders(name: str, kind: np.ndarray | None, count: int) -> np.ndarray:
    """Whether rows of a stream go to our orders table (else to trades)."""
    if name in ("sh_orders", "sz_orders"):
        return np.ones(count, bool)
    if kind is None or name == "sh_trades":
        return np.zeros(count, bool)
    return (kind == CANCEL) | ((kind == ADD) & (name == "sh_merged"))
