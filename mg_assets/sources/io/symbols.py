"""Any vendor's security code as ``600000.SH``."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mg_assets.sources.aliases import present_code

_EXCHANGES = {
    **dict.fromkeys(("SH", "SS", "SSE", "XSHG", "SHSE", "1"), "SH"),
    **dict.fromkeys(("SZ", "SZE", "SZSE", "XSHE", "0"), "SZ"),
    **dict.fromkeys(("BJ", "BSE", "XBSE", "NQ", "2"), "BJ"),
}
_FRONT = re.compile(r"([A-Za-z]{2,4}|[012])[.:_]?(\d{6})")
_BACK = re.compile(r"(\d{1,6})(?:[.:_]([A-Za-z]{2,4}))?")
_A_SHARE = re.compile(r"(60\d{4}|68\d{4})\.SH|(00[0-4]\d{3}|30\d{4})\.SZ|([48]\d{5}|92\d{4})\.BJ")


def to_symbol(text: object) -> str | None:
    """Read any vendor's security code: ``SH600000``, ``sh.600000``, ``600000.SSE``, ``600000``, ``1``.

    Returns
    -------
    str or None
        ``600000.SH``, ``000001.SZ``; a bare number is taken for a stock, whose exchange follows from its first digits.
        Of a code that a stock had before, its present one (:mod:`mg_assets.sources.aliases`). None where the text is no
        code.
    """
    symbol = _read(text)
    return None if symbol is None else present_code(symbol)


def _read(text: object) -> str | None:
    word = str(text).strip()
    match = _FRONT.fullmatch(word)
    if match and (not match[1].isdigit() or len(word) > 7):
        exchange = _EXCHANGES.get(match[1].upper())
        return f"{match[2]}.{exchange}" if exchange else None
    match = _BACK.fullmatch(word)
    if not match:
        return None
    code = match[1].zfill(6)
    exchange = _EXCHANGES.get(match[2].upper()) if match[2] else _exchange_of(code)
    return f"{code}.{exchange}" if exchange else None


def is_a_share(symbol: str) -> bool:
    """Whether the symbol is a stock in yuan (no fund, bond, index or B-share)."""
    return _A_SHARE.fullmatch(symbol) is not None


def _exchange_of(code: str) -> str | None:
    if code.startswith(("6", "9")) and not code.startswith("92"):
        return "SH"
    if code.startswith(("0", "2", "3")):
        return "SZ"
    return "BJ" if code.startswith(("4", "8", "92")) else None


def symbol_axis(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Distinct symbols of a column, and each row's index among them.

    Returns
    -------
    axis : ndarray of object (S,)
        Ascending.
    index : ndarray of int32 (n,)
        -1 where the text is no symbol, -2 where it is one, but no A-share.
    unread : list of str
        Texts that are no symbol.
    """
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    words = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    symbols = [None if w is None else to_symbol(_plain(w)) for w in words]
    unread = [str(w) for w, s in zip(words, symbols, strict=True) if s is None]
    axis = np.array(sorted({s for s in symbols if s and is_a_share(s)}), dtype=object)
    position = {s: i for i, s in enumerate(axis)}
    table = np.array([*(-1 if s is None else position.get(s, -2) for s in symbols), -1], np.int32)
    parts = [c.indices.fill_null(len(words)).to_numpy(zero_copy_only=False) for c in column.chunks]
    index = table[np.concatenate(parts)] if parts else np.empty(0, np.int32)
    return axis, index, unread


def _plain(word: object) -> object:
    """A code read as a float (000001 -> 1.0) is an integer again."""
    return int(word) if isinstance(word, float) and word.is_integer() else word


def merge_axes(axes: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The union of symbol axes, and each axis's positions in it."""
    union = np.array(sorted({s for axis in axes for s in axis}), dtype=object)
    return union, [np.searchsorted(union, axis).astype(np.int32) for axis in axes]
