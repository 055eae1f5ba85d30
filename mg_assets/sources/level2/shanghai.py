"""Restore Shanghai's orders as they were entered, from what its publication rule shows of them.

Shanghai publishes an order only where a remainder rests, after the trades that it made on arrival,
with volume = the remainder. So:

- an order's original volume = published remainder + its trades, as aggressor, with a smaller BizIndex;
- its arrival is its first such trade: it takes that trade's BizIndex as seq, and its time;
- an aggressor that never appears in the order stream executed wholly on arrival (or its remainder
  was withdrawn at once): it becomes an order of its traded volume. Its limit price was never
  published, so it is of kind ``market`` with a null price.

Cancels (type D) are in the order stream. The aggressor is the published flag: B +1, S -1, N 0.
From 2023-11-27 on (2023-11-27: cut-over) orders, cancels and trades come as one merged stream with
the same rule. A restored order shares its seq with its first trade: on a tie the order came first.

Formats: docs/sources.md.
"""

import numpy as np

from mg_assets.sources.level2.stream_formats import ADD, CANCEL, FILL, LIMIT, MARKET, MERGED_FROM
from mg_assets.sources.level2.ticks import Ticks, order_key


def split_merged(ticks: Ticks) -> tuple[Ticks, Ticks]:
    """The merged stream's orders (with cancels) and trades, in the separate streams' form."""
    kind = ticks["kind"]
    fills = ticks.where(kind == FILL)
    entries = ticks.where((kind == ADD) | (kind == CANCEL))
    own = np.where(entries["side"] > 0, entries["buy_order"], entries["sell_order"])
    kept = {k: entries[k] for k in ("code", "time", "seq", "price", "volume", "side", "kind")}
    orders = Ticks(ticks.exchange, {**kept, "order_id": own}, ticks.quarantine, ticks.notes)
    trades = {k: v for k, v in fills.columns.items() if k != "kind"}
    return orders, Ticks(ticks.exchange, trades, ticks.quarantine, ticks.notes)


def restore_shanghai_orders(orders: Ticks, trades: Ticks) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Orders as entered, wholly executed ones included, and cancels.

    Parameters
    ----------
    orders : Ticks
        Published adds and cancels: order_id, side, kind (``ADD``, ``CANCEL``), volume = remainder.
    trades : Ticks
        buy_order, sell_order, side (the published flag).

    Returns
    -------
    columns : dict of str to ndarray
        code, time, seq, order_id, side, price, volume, kind (``LIMIT``, ``MARKET`` or 0 for a cancel);
        sorted by code, then seq.
    notes : dict
        How many orders were restored, and what did not fit.
    """
    add = orders.where(orders["kind"] == ADD)
    cancel = orders.where(orders["kind"] == CANCEL)
    key = order_key(add["code"], add["order_id"])
    by_key = np.argsort(key, kind="stable")
    sorted_key = key[by_key]
    repeated = int(np.sum(np.diff(sorted_key) == 0)) if len(key) else 0

    hit = trades.where(trades["side"] != 0)
    number = np.where(hit["side"] > 0, hit["buy_order"], hit["sell_order"])
    hit, number = hit.where(number > 0), number[number > 0]
    trade_key = order_key(hit["code"], number)
    at, known = _find(sorted_key, trade_key)

    owner = by_key[at[known]]
    before = hit["seq"][known] < add["seq"][owner]
    owner, filled = owner[before], hit["volume"][known][before]
    prior = np.bincount(owner, weights=filled, minlength=len(add)).astype(np.int64)
    arrival, time = add["seq"].copy(), add["time"].copy()
    np.minimum.at(arrival, owner, hit["seq"][known][before])
    np.minimum.at(time, owner, hit["time"][known][before])

    alone = hit.where(~known)
    unpublished, first, group = np.unique(trade_key[~known], return_index=True, return_inverse=True)
    whole = np.bincount(group, weights=alone["volume"], minlength=len(unpublished)).astype(np.int64)

    restored = {
        "code": np.concatenate([add["code"], cancel["code"], alone["code"][first]]),
        "time": np.concatenate([time, cancel["time"], alone["time"][first]]),
        "seq": np.concatenate([arrival, cancel["seq"], alone["seq"][first]]),
        "order_id": np.concatenate([add["order_id"], cancel["order_id"], number[~known][first]]),
        "side": np.concatenate([add["side"], cancel["side"], alone["side"][first]]).astype(np.int8),
        "price": np.concatenate(
            [add["price"], np.where(cancel["price"] > 0, cancel["price"], np.nan), np.full(len(first), np.nan)]
        ),
        "volume": np.concatenate([add["volume"] + prior, cancel["volume"], whole]),
        "kind": np.repeat(np.array([LIMIT, 0, MARKET], np.int8), [len(add), len(cancel), len(first)]),
    }
    order = np.argsort(order_key(restored["code"], restored["seq"]), kind="stable")  # three nearly sorted runs
    notes: dict[str, object] = {
        "sh_orders_published": len(add),
        "sh_cancels": len(cancel),
        "sh_orders_with_fills_added": int(np.sum(prior > 0)),
        "sh_shares_added": int(prior.sum()),
        "sh_orders_never_published": len(first),
        "sh_price_rule": "an unpublished order, executed wholly, is kind market without a price: its limit is unknown",
    }
    odd = {
        "sh_order_numbers_published_twice": repeated,
        "sh_aggressor_trades_after_publication": int(np.sum(~before)),
        "sh_cancels_of_unknown_orders": int(
            np.sum(~_find(sorted_key, order_key(cancel["code"], cancel["order_id"]))[1])
        ),
    }
    notes.update({k: v for k, v in odd.items() if v})
    return {k: v[order] for k, v in restored.items()}, notes


def _find(sorted_key: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in ascending keys, and whether the key is found there."""
    at = np.searchsorted(sorted_key, wanted)
    known = at < len(sorted_key)
    known[known] = sorted_key[at[known]] == wanted[known]
    return at, known


__all__ = ["MERGED_FROM", "restore_shanghai_orders", "split_merged"]
