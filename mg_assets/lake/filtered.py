"""Views of a lake that hide some of its partitions: to readers these are absent."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from mg_assets.lake.integrity import PartitionFile
from mg_assets.lake.look import SeenTable
from mg_assets.lake.storage import TableFiles
from mg_assets.lake.store import Lake


class FilteredLake(Lake, ABC):
    """The lake without the partitions that :meth:`available` denies."""

    @abstractmethod
    def available(self, table: str, key: str) -> bool:
        """Whether a partition may be read."""

    def keys(self, table: str) -> list[str]:
        """Partition keys available, ascending."""
        return [k for k in super().keys(table) if self.available(table, k)]

    def has(self, table: str, key: str) -> bool:
        """Whether the partition exists and is available."""
        return self.available(table, key) and super().has(table, key)

    def seen(
        self,
        table: str,
        keys: Iterable[str] | None = None,
        files: TableFiles | None = None,
        unchecked: bool = True,
    ) -> SeenTable:
        """What the footers of the partitions available say; see :meth:`Lake.seen`."""
        found = super().seen(table, keys, files, unchecked)
        return replace(found, partitions={k: i for k, i in found.partitions.items() if self.available(table, k)})

    def opened(self, table: str, key: str, dictionary: Sequence[str] = ()) -> PartitionFile:
        """A partition's file for reading, of one that is available; see :meth:`Lake.opened`."""
        if not self.available(table, key):
            raise self._lacks(table, key)
        return super().opened(table, key, dictionary)


class LakeWithout(FilteredLake):
    """The lake without some partitions, for what is built while these have failed.

    Parameters
    ----------
    root : str
        Of the lake.
    hidden : mapping of str to collection of str
        Keys that are hidden, by table.
    """

    def __init__(self, root: str, hidden: Mapping[str, Collection[str]]):
        super().__init__(root)
        self._hidden = {table: frozenset(keys) for table, keys in hidden.items()}

    def available(self, table: str, key: str) -> bool:
        """Whether the partition is not one of those hidden."""
        return key not in self._hidden.get(table, ())
