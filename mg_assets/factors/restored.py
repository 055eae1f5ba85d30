"""Restored orders: which trades bear the same order number, as dense slots.

Numbers of one stock-day rise with time and lie in a range. Where the range is short against the
count, a bitmap of the range with running counts gives each number its rank: no probing, no
mispredicted branch, and slots that neighbour in time neighbour in memory. Else an open-addressing
table does, sized so that it stays small for the few trades of such a stock. Measured in ``docs/storage.md``.
"""

import numba as nb
import numpy as np
from numba import types
from numba.extending import intrinsic

WORDS_PER_TRADE = 4  # the bitmap is used up to 4 * 64 numbers of range a trade
SPREAD = 4  # slots of the table a trade, at least


def scratch_size(most: int) -> int:
    """Length of the two scratch arrays for stocks of at most ``most`` trades."""
    return max(2 * SPREAD, WORDS_PER_TRADE) * most + 64


@intrinsic
def _ones(typingctx, x):
    """Number of set bits of an int64."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), generate


@nb.njit(cache=True, nogil=True, error_model="numpy")
def order_slots(numbers, slots, words, counts):
    """Give every trade the slot of its order number, 0 for numbers <= 0 (no order); returns slots + 1.

    Parameters
    ----------
    numbers : ndarray of int (n,)
    slots : ndarray of int32 (>= n,)
        Filled: 1..k for k different numbers.
    words : ndarray of int64 (scratch_size(n),)
    counts : ndarray of int32 (scratch_size(n),)
    """
    n = len(numbers)
    least = np.uint64(0xFFFFFFFFFFFFFFFF)
    high = np.int64(0)
    for i in range(n):  # as unsigned, numbers <= 0 less 1 are huge: no branch, so the loop is vectorised
        x = np.int64(numbers[i])
        least = min(least, np.uint64(x - 1))
        high = max(high, x)
    if high == 0:
        slots[:n] = 0
        return 1
    low = np.int64(least) + 1
    needed = ((high - low) >> 6) + 1
    if needed <= WORDS_PER_TRADE * n + 16:
        return _ranks(numbers, low, needed, slots, words, counts)
    return _table(numbers, slots, words, counts)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _ranks(numbers, low, needed, slots, words, counts):
    one = np.int64(1)
    words[:needed] = 0
    for i in range(len(numbers)):
        x = np.int64(numbers[i])
        if x > 0:
            x -= low
            words[x >> 6] |= one << (x & 63)
    count = np.int64(1)
    for w in range(needed):
        counts[w] = count
        count += _ones(words[w])
    for i in range(len(numbers)):
        x = np.int64(numbers[i])
        if x > 0:
            x -= low
            slots[i] = counts[x >> 6] + _ones(words[x >> 6] & ((one << (x & 63)) - one))
        else:
            slots[i] = 0
    return count


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _table(numbers, slots, words, counts):
    bits = 6
    while (1 << bits) < SPREAD * len(numbers):
        bits += 1
    mask = (np.int64(1) << bits) - 1
    words[: mask + 1] = 0
    count = np.int64(1)
    for i in range(len(numbers)):
        x = np.int64(numbers[i])
        if x <= 0:
            slots[i] = 0
            continue
        at = np.int64((np.uint64(x) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits))
        while words[at] != 0 and words[at] != x:
            at = (at + 1) & mask
        fresh = words[at] == 0  # stores without a branch: new and known numbers come in no order
        slot = count if fresh else np.int64(counts[at])
        words[at] = x
        counts[at] = slot
        slots[i] = slot
        count += fresh
    return count
