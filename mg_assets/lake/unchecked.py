"""Partitions that were written and not checked: a run that fails or is killed between both leaves them so.

A step that writes a table with checks first lists its partitions, with the digest of what each holds, in
``<table>/_unchecked/<run>.json``; its checks remove them from there. A listed partition of other content has not been
checked, and counts as rejected.
"""

import json
from collections.abc import Collection, Iterable, Mapping

from mg_assets.lake.marks import read_mark
from mg_assets.lake.partition_keys import WHOLE, safe_name
from mg_assets.lake.storage import Storage

UNCHECKED = "unchecked"
"""Stands among the failed checks of a partition whose content no check has seen."""
FOLDER = "_unchecked"


class UncheckedLists:
    """The lists of one table, one a run.

    Parameters
    ----------
    storage : Storage
    table : str
    """

    def __init__(self, storage: Storage, table: str):
        self._storage, self._table = storage, table
        self._folder = f"{storage.base}/{safe_name(table, 'table')}/{FOLDER}"

    def read(self, names: Iterable[str] | None = None) -> dict[str, dict[str, str | None]]:
        """By run, the digest that each partition had before the run, None where it was absent.

        Parameters
        ----------
        names : iterable of str, optional
            Of the lists' files, where a listing showed them; by default the folder is looked at.

        Returns
        -------
        dict of str to dict of str to str or None
        """
        out = {}
        for name in self._storage.names(self._folder) if names is None else names:
            text = self._storage.read(f"{self._folder}/{name}")
            if text is not None:  # not just removed
                listed = read_mark(text)
                out[name.removesuffix(".json")] = self._every() if listed is None else listed
        return out

    def _every(self) -> dict[str, str | None]:
        """What a list that cannot be read may have held: every partition."""
        return {below.partition("=")[2] or WHOLE: None for below in self._storage.folders(self._table)}

    def write(self, run: str, digests: Mapping[str, str | None]) -> None:
        """Replace a run's list."""
        with self._storage.replace(f"{self._folder}/{safe_name(run, 'run')}.json", self._table) as out:
            out.write(json.dumps(digests).encode())

    def remove(self, keys: Collection[str]) -> None:
        """Take partitions off every list."""
        for run, digests in self.read().items():
            left = {key: digest for key, digest in digests.items() if key not in keys}
            if not left:
                self._storage.remove(f"{self._folder}/{run}.json")
            elif len(left) < len(digests):
                self.write(run, left)
