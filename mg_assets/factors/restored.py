"""Restored orders: which trades bear the same order number, as dense slots.

An exchange numbers the orders of a channel of many stocks one after another: the numbers of one stock rise with time
and lie far apart in a range of millions. Two levels of bitmaps with running counts rank them without a probe or a
branch that could be mispredicted: a bit for each number stands in a word of 64 numbers, words without a number are left
out, and a bit for each word says where the words that are there stand. Slots that are neighbours in time are neighbours
in memory. Where the range is too long for the count (a few trades, or numbers of another kind), an open-addressing
table takes their place, which is then small. Measured in ``docs/storage.md``.
"""

import numba as nb
import numpy as np
from numba import types
from numba.extending import intrinsic

TOP_WORDS = 4
"""Bitmaps are used up to a range of 4 * 64 * 64 numbers a trade."""
SPREAD = 4
"""Slots of the table a trade, at least."""


def scratch_size(most: int) -> int:
    """Length of the scratch arrays for stocks of at most ``most`` trades."""
    return max(2 * SPREAD, TOP_WORDS + 1) * most + 128


@intrinsic
def _ones(typingctx, x):
    """Number of set bits of an int64."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), generate


@nb.njit(cache=True, nogil=True, inline="always")
def _below(x):
    """Bits of a word that stand for smaller numbers than ``x``."""
    return (np.int64(1) << (x & 63)) - np.int64(1)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _count_before(words, counts, first):
    """Fill ``counts`` with ``first`` and the set bits of all words before; returns the total."""
    for w in range(len(words)):
        counts[w] = first
        first += _ones(words[w])
    return first


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
    top = ((high - low) >> 12) + 1
    if top <= TOP_WORDS * n + 16:
        return _ranks(numbers, low, top, slots, words, counts)
    return _table(numbers, slots, words, counts)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _ranks(numbers, low, top, slots, words, counts):
    """Ranks of the numbers; word ``x >> 6`` of number x is bit ``x >> 6 & 63`` of word ``x >> 12`` of the top level."""
    one = np.int64(1)
    upper, before = words[:top], counts[:top]
    upper[:] = 0
    for i in range(len(numbers)):
        x = np.int64(numbers[i])
        if x > 0:
            x -= low
            upper[x >> 12] |= one << ((x >> 6) & 63)
    there = _count_before(upper, before, np.int64(0))
    lower, smaller = words[top : top + there], counts[top : top + there]
    lower[:] = 0
    for i in range(len(numbers)):
        x = np.int64(numbers[i])
        if x > 0:
            x -= low
            word = before[x >> 12] + _ones(upper[x >> 12] & _below(x >> 6))
            lower[word] |= one << (x & 63)
            slots[i] = word
    count = _count_before(lower, smaller, np.int64(1))
    for i in range(len(numbers)):
        x = np.int64(numbers[i])
        if x > 0:
            word = slots[i]
            slots[i] = smaller[word] + _ones(lower[word] & _below(x - low))
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
