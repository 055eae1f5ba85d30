"""A look at a table: what its partitions are at one time, by the stamps of their files and what their footers say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mg_assets.errors import DamagedPartitionError, MissingPartitionError
from mg_assets.lake.index import IndexEntry, PartitionInfo, Stamp, TableIndex
from mg_assets.lake.integrity import PartitionFile
from mg_assets.lake.marks import MARKS, with_marks
from mg_assets.lake.partition_keys import WHOLE, keys_of, safe_name
from mg_assets.lake.storage import DATA_FILE, Storage, TableFiles
from mg_assets.lake.unchecked import FOLDER, UNCHECKED, UncheckedLists

INDEX_FILE = "_index.json"


@dataclass(frozen=True)
class SeenTable:
    """A table's partitions at one time.

    Attributes
    ----------
    partitions : dict of str to PartitionInfo
        By key, ascending.
    unchecked : dict of str to dict
        By run, the partitions that it listed before it wrote them, with the digests that they had.
    """

    partitions: dict[str, PartitionInfo]
    unchecked: Mapping[str, Mapping[str, str | None]]


class TableLooks:
    """Looks at a lake's tables, each with an index of the footers that were read before.

    Parameters
    ----------
    storage : Storage
    folder : callable
        Gives the folder of a partition, by table and key.
    opened : callable
        Opens a partition's file, verified to be it, by its table, its key and the columns to read as codes; a damaged
        one raises and is not marked.
    damages_beside : callable
        Names the files beside a partition that are not those of given digests, by table, key and digests.
    save : callable
        Writes a file beside a partition, by table, key, name and content.
    """

    def __init__(
        self,
        storage: Storage,
        folder: Callable[[str, str], str],
        opened: Callable[[str, str, Sequence[str]], PartitionFile],
        damages_beside: Callable[[str, str, Mapping[str, str]], list[tuple[str, str]]],
        save: Callable[[str, str, str, bytes], str],
    ):
        self._storage = storage
        self._folder = folder
        self._opened = opened
        self._damages_beside = damages_beside
        self._save = save
        self._indices: dict[str, TableIndex] = {}

    def __getstate__(self) -> dict[str, Any]:  # another process reads the footers itself
        return self.__dict__ | {"_indices": {}}

    def seen(self, table: str, keys: Iterable[str] | None, files: TableFiles | None, unchecked: bool) -> SeenTable:
        """See :meth:`mg_assets.lake.store.Lake.seen`."""
        storage = self._storage
        wanted = None if keys is None else sorted(set(keys))
        one = self._below(table, wanted[0]) if storage.remote and wanted and len(wanted) == 1 else ""
        if files is None and (wanted is None or storage.remote):
            files = storage.files(safe_name(table, "table"), one)
        if files is not None:
            every = files.partitions
            present = {key: every[below] for key, below in zip(keys_of(every), sorted(every), strict=False)}
            present = present if wanted is None else {key: present[key] for key in wanted if key in present}
        else:
            found = {key: self._stamp_and_marks(table, key) for key in wanted or ()}
            present = {key: seen for key, seen in found.items() if seen is not None}
        stamps = {key: stamp for key, (stamp, _) in present.items()}
        beside = partial(self._stamp_beside, table, files.stamps if files is not None else None)
        listed = files.names("") if files is not None and not one else None
        out = self._index(table, listed is None or INDEX_FILE in listed).look(stamps, wanted is None, beside)
        for key in [k for k in out if present[k][1]]:
            stamp, names = present[key]
            texts = {name: storage.read(f"{self._folder(table, key)}/{name}") for name in names}
            out[key] = with_marks(out[key], stamp, texts)
        if not unchecked:
            return SeenTable(out, {})
        lists = UncheckedLists(storage, table).read(files.names(FOLDER) if files is not None and not one else None)
        for digests in lists.values():
            for key in [k for k in digests if k in out and out[k].digest != digests[k]]:
                out[key] = replace(out[key], rejected=(UNCHECKED,))
        return SeenTable(out, lists)

    def _index(self, table: str, stored: bool) -> TableIndex:
        if table not in self._indices:
            path = f"{self._storage.base}/{table}/{INDEX_FILE}"
            self._indices[table] = TableIndex(
                load=partial(self._storage.read, path) if stored else lambda: None,
                save=partial(self._save, table, WHOLE, INDEX_FILE),
                read=partial(self._entry, table),
                remote=self._storage.remote,
            )
        return self._indices[table]

    def _stamp_beside(self, table: str, listed: Mapping[str, Stamp] | None, key: str, name: str) -> Stamp | None:
        below = self._below(table, key)
        if listed is not None:
            return listed.get(f"{below}/{name}" if below else name)
        return self._storage.stamp(f"{self._folder(table, key)}/{name}")

    def _below(self, table: str, key: str) -> str:
        """Folder of a partition, from the table's."""
        return "" if key == WHOLE else self._folder(table, key).rpartition("/")[2]

    def _stamp_and_marks(self, table: str, key: str) -> tuple[Stamp, list[str]] | None:
        stamp = self._storage.stamp(f"{self._folder(table, key)}/{DATA_FILE}")
        if stamp is None:
            return None
        return stamp, [name for name in MARKS if self._storage.exists(f"{self._folder(table, key)}/{name}")]

    def _entry(self, table: str, key: str, stamp: Stamp) -> IndexEntry | None:
        """What a partition's footer, and the files beside it that it names, say; None where it is gone."""
        try:
            with self._opened(table, key, ()) as file:
                footer = file.footer
        except MissingPartitionError:
            return None
        except DamagedPartitionError as error:
            return IndexEntry(stamp, PartitionInfo(key, 0, None, {}, {}, error.what))
        beside = {name: self._stamp_beside(table, None, key, name) for name in footer.files}
        damaged = "; ".join(what for _, what in self._damages_beside(table, key, footer.files)) or None
        digest = footer.digest or {"content": None, "columns": {}}
        content = None if damaged else digest["content"]
        rows, metadata = footer.parquet.num_rows, dict(footer.metadata)
        return IndexEntry(stamp, PartitionInfo(key, rows, content, digest["columns"], metadata, damaged), beside)
