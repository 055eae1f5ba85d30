"""What the lake knows of a table's partitions without reading them: a cache of their footers."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

FORMAT = 1
READ_THREADS = 4
SAVED_AT = 16
"""The index is written again where this many entries changed, or a twentieth of them: the others are read again.

On an object store, where each is a request, it is written wherever one changed."""

Stamp = list[int | str]
"""Of a file its size, times of change and inode; of an object its size and version."""


@dataclass(frozen=True)
class PartitionInfo:
    """A partition as its file's footer describes it.

    Attributes
    ----------
    key : str
    rows : int
        0 where the file is damaged.
    digest : str or None
        Of the content, 16 hex digits; None where the file is damaged, or of an older version.
    columns : dict of str to str
        Digest of each column.
    metadata : dict
        What was given to :meth:`Lake.write`.
    damaged : str or None
        What is wrong with the file, or with one beside it.
    rejected : tuple of str
        Blocking checks that this content failed.
    """

    key: str
    rows: int
    digest: str | None
    columns: Mapping[str, str]
    metadata: Mapping[str, Any]
    damaged: str | None = None
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexEntry:
    """A partition's footer, and the stamps of the files that it was read from."""

    stamp: Stamp
    info: PartitionInfo
    beside: Mapping[str, Stamp | None] = field(default_factory=dict)


class TableIndex:
    """Footers of one table's partitions; an entry counts while the file's stamp is the same.

    Parameters
    ----------
    load : callable
        Bytes of the stored index, or None.
    save : callable
        Stores the index's bytes.
    read : callable
        The entry of a key whose file has the given stamp, from the file; None where it is absent.
    remote : bool
        Whether the files are on an object store.
    """

    def __init__(
        self,
        load: Callable[[], bytes | None],
        save: Callable[[bytes], object],
        read: Callable[[str, Stamp], IndexEntry | None],
        remote: bool = False,
    ):
        self._save, self._read, self._remote = save, read, remote
        self._entries = _entries(load())
        self._unsaved = 0

    def look(
        self, stamps: Mapping[str, Stamp], whole: bool, stamp_beside: Callable[[str, str], Stamp | None]
    ) -> dict[str, PartitionInfo]:
        """The partitions of the given stamps, by key.

        Parameters
        ----------
        stamps : dict of str to Stamp
        whole : bool
            Whether these are all that the table has.
        stamp_beside : callable
            Stamp of the file of a key and name, or None.

        Returns
        -------
        dict of str to PartitionInfo
        """
        changed = [key for key, stamp in stamps.items() if not self._current(key, stamp, stamp_beside)]
        self._unsaved += len(changed)
        found: Iterable[IndexEntry | None]
        if len(changed) > READ_THREADS:
            with ThreadPoolExecutor(READ_THREADS) as pool:
                found = list(pool.map(lambda key: self._read(key, stamps[key]), changed))
        else:
            found = [self._read(key, stamps[key]) for key in changed]
        for key, entry in zip(changed, found, strict=True):
            if entry is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = entry
        if whole:
            gone = self._entries.keys() - stamps.keys()
            self._unsaved += len(gone)
            for key in gone:
                del self._entries[key]
            if self._unsaved >= (1 if self._remote else max(SAVED_AT, len(self._entries) // 20)):
                self._save(_bytes(self._entries))
                self._unsaved = 0
        return {key: self._entries[key].info for key in stamps if key in self._entries}

    def _current(self, key: str, stamp: Stamp, stamp_beside: Callable[[str, str], Stamp | None]) -> bool:
        entry = self._entries.get(key)
        return (
            entry is not None
            and entry.stamp == stamp
            and all(stamp_beside(key, name) == found for name, found in entry.beside.items())
        )


def _bytes(entries: Mapping[str, IndexEntry]) -> bytes:
    facts = [f.name for f in fields(PartitionInfo) if f.name != "rejected"]  # a mark beside the file says that
    kept = [
        {"stamp": e.stamp, "info": {name: getattr(e.info, name) for name in facts}, "beside": e.beside}
        for e in entries.values()
    ]
    return json.dumps({"format": FORMAT, "partitions": kept}).encode()


def _entries(stored: bytes | None) -> dict[str, IndexEntry]:
    """Entries of a stored index; none where it is absent, damaged or of another format."""
    try:
        kept = json.loads(stored or b"{}")
        if kept.get("format") != FORMAT:
            return {}
        entries = [IndexEntry(e["stamp"], PartitionInfo(**e["info"]), e["beside"]) for e in kept["partitions"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {entry.info.key: entry for entry in entries}
