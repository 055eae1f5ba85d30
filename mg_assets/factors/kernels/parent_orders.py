"""Parent orders: trades sharing an order ID, as dense slots.

An exchange numbers the orders of a channel of many stocks one after another: the IDs of one stock rise with time and
are spread over a range of millions. Two levels of bitmaps with running counts rank them without a probe or a branch
that could be mispredicted: the lower level holds a bit for each ID, in words of 64 IDs, without empty words; the upper
level holds a bit for each word of the lower one. Orders that are neighbours in time are neighbours in memory. Where the
range is too long for the number of trades, an open-addressing table is used instead, which is then small. Measured in
``docs/storage.md``.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from mg_assets.factors.kernels.cache import kernel

_intrinsic: Any = intrinsic  # its own type counts the typing context among the arguments

TOP_WORDS = 4
"""Bitmaps are used up to a range of 4 * 64 * 64 IDs a trade."""
SPREAD = 4
"""Slots of the table a trade, at least."""


def scratch_size(most: int) -> int:
    """Length of the scratch arrays for stocks of at most ``most`` trades."""
    return max(2 * SPREAD, TOP_WORDS + 1) * most + 128


@_intrinsic
def _ones(typingctx, x):
    """Number of set bits of an uint64."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


# Unsigned throughout: an index that may be below 0 costs a test each time.
_ONE, _SIX, _TWELVE, _LAST = np.uint64(1), np.uint64(6), np.uint64(12), np.uint64(63)


@kernel(nogil=True, inline="always")
def _below(x):
    """Bits of a word for smaller numbers than ``x``."""
    return (_ONE << (x & _LAST)) - _ONE


@kernel(nogil=True, error_model="numpy")
def _count_before(words, counts, first):
    """Fill ``counts`` with ``first`` and the set bits of all words before; returns the total."""
    total = np.uint64(first)
    for w in range(len(words)):
        counts[w] = total
        total += _ones(words[w])
    return np.int64(total)


@kernel(nogil=True, error_model="numpy")
def order_slots(numbers, slots, words, counts):
    """Give every trade the slot of its order ID, 0 for IDs <= 0 (no order).

    Parameters
    ----------
    numbers : ndarray of int (n,)
    slots : ndarray of uint32 (>= n,)
        Filled: 1..k for k different numbers.
    words : ndarray of uint64 (scratch_size(n),)
    counts : ndarray of uint32 (scratch_size(n),)
        Scratch, like ``words``.

    Returns
    -------
    int
        Number of slots with slot 0, ``k + 1``.
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


@kernel(nogil=True, error_model="numpy")
def _ranks(numbers, low, top, slots, words, counts):
    """Ranks of the numbers; word ``x >> 6`` of number x is bit ``x >> 6 & 63`` of word ``x >> 12`` of the top level."""
    least = np.uint64(low)
    upper, before = words[:top], counts[:top]
    upper[:] = 0
    for i in range(len(numbers)):
        if numbers[i] > 0:
            x = np.uint64(numbers[i]) - least
            upper[x >> _TWELVE] |= _ONE << ((x >> _SIX) & _LAST)
    there = _count_before(upper, before, 0)
    lower, smaller = words[top : top + there], counts[top : top + there]
    lower[:] = 0
    for i in range(len(numbers)):
        if numbers[i] > 0:
            x = np.uint64(numbers[i]) - least
            word = before[x >> _TWELVE] + _ones(upper[x >> _TWELVE] & _below(x >> _SIX))
            lower[word] |= _ONE << (x & _LAST)
            slots[i] = word
    count = _count_before(lower, smaller, 1)
    for i in range(len(numbers)):
        if numbers[i] > 0:
            word = slots[i]
            slots[i] = smaller[word] + _ones(lower[word] & _below(np.uint64(numbers[i]) - least))
        else:
            slots[i] = 0
    return count


@kernel(nogil=True, error_model="numpy")
def _table(numbers, slots, words, counts):
    bits = 6
    while (1 << bits) < SPREAD * len(numbers):
        bits += 1
    mask = np.uint64((1 << bits) - 1)
    words[: mask + 1] = 0
    count = np.uint32(1)
    for i in range(len(numbers)):
        x = np.uint64(numbers[i])
        if numbers[i] <= 0:
            slots[i] = 0
            continue
        at = (x * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)
        while words[at] != 0 and words[at] != x:
            at = (at + _ONE) & mask
        fresh = words[at] == 0  # stores without a branch: new and repeated numbers come in no order
        slot = count if fresh else counts[at]
        words[at] = x
        counts[at] = slot
        slots[i] = slot
        count += np.uint32(fresh)
    return np.int64(count)
