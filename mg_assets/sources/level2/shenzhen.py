"""Shenzhen's two differences: cancels are published in the trade stream, and there is no aggressor flag.

- ExecType 4 (52) is a cancel: price 0 and one side's order number 0. It becomes a cancel order of
  the other side, with the price of the order that it withdraws where the order stream has it.
- Before 2016-05-09 orders and trades were numbered apart, so cancels are put among the orders by time,
  after the orders of the same stamp, and ``seq`` numbers both afresh.
- In the continuous session (09:30 to before 14:57) the larger order number is the aggressor, for
  order and trade streams share one ApplSeqNum a channel; in the auctions nobody is (0).

Formats: docs/sources.md.
"""

import numpy as np

from mg_assets.sources.level2.stream_formats import CANCEL, FILL, LIMIT
from mg_assets.sources.level2.ticks import Ticks, order_key

CONTINUOUS_MS = ((9 * 60 + 30) * 60_000, (14 * 60 + 57) * 60_000)
"""Continuous trading in milliseconds of the day; the closing auction takes orders from 14:57."""


def fills_with_side(trades: Ticks) -> dict[str, np.ndarray]:
    """Fills of the trade stream with the aggressor's side (+1, -1, 0)."""
    fills = trades.where(trades["kind"] == FILL)
    low, high = CONTINUOUS_MS
    session = (fills["time"] >= low) & (fills["time"] < high)
    side = np.sign(fills["buy_order"] - fills["sell_order"]) * session
    columns = {k: v for k, v in fills.columns.items() if k != "kind"}
    return {**columns, "side": side.astype(np.int8)}


def restore_shenzhen_orders(
    orders: Ticks, trades: Ticks, one_sequence: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Orders as entered and, from the trade stream, cancels; sorted by code, then seq.

    Parameters
    ----------
    orders : Ticks
        side, kind (``LIMIT``, ``MARKET``, ``OWN_BEST``), price; an order's number is its seq.
    trades : Ticks
        The trade stream with its cancels.
    one_sequence : bool
        Whether the two streams are numbered together.

    Returns
    -------
    columns : dict of str to ndarray
        code, time, seq, order_id, side, price (NaN unless a limit order's), volume, kind (0: cancel).
    notes : dict
    """
    cancels = trades.where(trades["kind"] == CANCEL)
    bought = cancels["buy_order"] > 0
    number = np.where(bought, cancels["buy_order"], cancels["sell_order"])
    price = np.where(orders["kind"] == LIMIT, orders["price"], np.nan)
    key = order_key(orders["code"], orders["seq"])  # ascending: the stream is sorted by code, then seq
    wanted = order_key(cancels["code"], number)
    at = np.searchsorted(key, wanted)
    known = at < len(key)
    known[known] = key[at[known]] == wanted[known]
    cancel_price = np.full(len(cancels), np.nan)
    cancel_price[known] = price[at[known]]
    columns = {
        "code": np.concatenate([orders["code"], cancels["code"]]),
        "time": np.concatenate([orders["time"], cancels["time"]]),
        "seq": np.concatenate([orders["seq"], cancels["seq"]]),
        "order_id": np.concatenate([orders["seq"], number]),
        "side": np.concatenate([orders["side"], np.where(bought, 1, -1)]).astype(np.int8),
        "price": np.concatenate([price, cancel_price]),
        "volume": np.concatenate([orders["volume"], cancels["volume"]]),
        "kind": np.concatenate([orders["kind"], np.zeros(len(cancels), np.int8)]).astype(np.int8),
    }
    notes: dict[str, object] = {"sz_orders": len(orders), "sz_cancels": len(cancels)}
    if one_sequence:
        # two sorted runs: a stable sort of one key merges them in a single pass
        order = np.argsort(order_key(columns["code"], columns["seq"]), kind="stable")
    else:
        order = np.lexsort((columns["seq"], columns["kind"] == 0, columns["time"], columns["code"]))
        notes["sz_seq_rule"] = "orders and trades were numbered apart: seq counts orders and cancels by time"
    columns = {k: v[order] for k, v in columns.items()}
    if not one_sequence and len(order):
        first = np.flatnonzero(np.concatenate([[True], np.diff(columns["code"]) != 0]))
        sizes = np.diff(np.append(first, len(order)))
        columns["seq"] = np.arange(1, len(order) + 1) - np.repeat(first, sizes)
    if not known.all():
        notes["sz_cancels_of_unknown_orders"] = int(np.sum(~known))
    return columns, notes
