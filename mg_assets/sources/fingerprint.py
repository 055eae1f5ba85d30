"""Fingerprints of what a source's tables depend on: settings that decide values, and the content of files.

Neither paths nor times are in a fingerprint. A file that only got another time, or lies in another folder, is the same;
one whose bytes changed is another, also where its size and time were kept.
"""

import functools
import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xxhash

from mg_assets.sources import digest_cache
from mg_assets.sources.aliases import changes_digest
from mg_assets.sources.digest_cache import FileState
from mg_assets.sources.io.archives import volumes_of
from mg_portfolio import exchange_rules

CLOCK_RESOLUTION = 2.0
"""Seconds: file systems note times no finer than that (FAT). A file that changed so shortly before it was read may
change again without showing it, so its digest is not kept."""

BLOCK_BYTES = 1 << 20
UNREADABLE = "unreadable"


def fingerprint_of(*parts: object) -> str:
    """A short hash of settings and digests."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_digests(paths: Sequence[Path]) -> list[str]:
    """Digests of the bytes of files (xxh3), of an archive cut into volumes of all of them.

    Unchanged files are not read again: digests are kept beside path, size, both times, inode and device.

    Parameters
    ----------
    paths : sequence of Path

    Returns
    -------
    list of str
        32 hex digits each, behind them those of the settings' changes of codes, if there are any. Of a file that cannot
        be read, the reason: loading it raises the error that says what to do.
    """
    files = [volumes_of(path) for path in paths]
    digests = iter(_digests([volume for volumes in files for volume in volumes]))
    parts = [[next(digests) for _ in volumes] for volumes in files]
    codes = changes_digest()
    return [(p[0] if len(p) == 1 else xxhash.xxh3_128_hexdigest(" ".join(p).encode())) + codes for p in parts]


def _digests(paths: Sequence[Path]) -> list[str]:
    states = [_state(path) for path in paths]
    seen = [s for s in states if isinstance(s, FileState)]
    known = {s: d for s, d in zip(seen, digest_cache.CACHE.digests(seen), strict=True) if d is not None}
    settled: dict[FileState, str] = {}
    out = []
    for path, state in zip(paths, states, strict=True):
        if isinstance(state, FileState) and state not in known:
            began = time.time()
            known[state] = _digest(path)
            quiet = began - max(state.mtime, state.ctime) / 1e9 > CLOCK_RESOLUTION
            if quiet and _state(path) == state and not known[state].startswith(UNREADABLE):
                settled[state] = known[state]
        out.append(known[state] if isinstance(state, FileState) else state)
    if settled:
        digest_cache.CACHE.keep_digests(settled)
    return out


def _state(path: Path) -> FileState | str:
    try:
        return FileState.of(path)
    except OSError as error:
        return _unreadable(error)


def _digest(path: Path) -> str:
    digest, buffer = xxhash.xxh3_128(), bytearray(BLOCK_BYTES)
    view = memoryview(buffer)
    try:
        with open(path, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(view[:count])
    except OSError as error:
        return _unreadable(error)
    return digest.hexdigest()


def _unreadable(error: OSError) -> str:
    return f"{UNREADABLE}: {error.strerror}"


class RowsDigest:
    """Digest of one day's rows, from their columns as arrays."""

    def __init__(self, *parts: object):
        self._digest = xxhash.xxh3_64(fingerprint_of(*parts).encode())

    def add(self, name: str, values: np.ndarray) -> None:
        """Continue with a column; every NaN counts as the same one."""
        if values.dtype.kind == "f":
            blank = np.isnan(values)
            values = np.where(blank, np.nan, values) if blank.any() else values
        self._digest.update(f"{name} {values.dtype.str} {len(values)} ".encode())
        self._digest.update(np.ascontiguousarray(values).view(np.uint8).data)

    def result(self) -> str:
        """Sixteen hex digits."""
        return self._digest.hexdigest()


def word_digests(words: Sequence[str | None] | np.ndarray) -> np.ndarray:
    """A number for each text, ``uint64``; 0 for a null."""
    return np.array([xxhash.xxh3_64_intdigest(w.encode()) if isinstance(w, str) else 0 for w in words], np.uint64)


Marks = dict[str, dict[str, str]]
"""Table -> day -> fingerprint."""


def marks_of_history(content: Callable[[], object], read: Callable[[], Marks], kept: bool = True) -> Marks:
    """The fingerprints of each day of a history, which is not read again only to be compared.

    Parameters
    ----------
    content : callable
        Gives all that decides the history: settings and digests of its files, no path.
    read : callable
        Gives the fingerprints, from the history.
    kept : bool
        Look into what an earlier process found, and keep it for later ones.

    Returns
    -------
    dict of str to (dict of str to str)
    """
    if not kept:
        return read()
    before = content()
    key = fingerprint_of(_reading_code(), before)
    text = digest_cache.CACHE.text(key)
    if text is not None:
        known: Marks = json.loads(text)
        return known
    marks = read()
    if content() == before:  # no file changed while it was read
        digest_cache.CACHE.keep_text(key, json.dumps(marks))
    return marks


@functools.cache
def _reading_code() -> str:
    """Hash of the code that reads histories, its libraries included."""
    here = Path(__file__).parent
    paths = [p for folder in (here, here.parent / "market") for p in sorted(folder.rglob("*.py"))]
    paths.append(Path(exchange_rules.__file__))
    libraries = [importlib.metadata.version(n) for n in ("numpy", "pandas", "pyarrow")]
    return fingerprint_of(libraries, [xxhash.xxh3_128_hexdigest(p.read_bytes()) for p in paths])
