"""Files beside a partition's data as files of this machine, for libraries that know folders alone (models' weights)."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mg_assets.lake.store import Lake


@contextmanager
def local_folder(lake: Lake, table: str, key: str, write: bool = False) -> Iterator[Path]:
    """The folder with the files beside a partition's data: of a lake in a folder that itself, else a copy.

    Parameters
    ----------
    lake : Lake
    table, key : str
    write : bool
        Whether what is changed, added and removed in the copy is so in the lake afterwards, unless an error ends it.

    Yields
    ------
    Path
    """
    if not lake.storage.remote:
        yield Path(lake.folder(table, key))
        return
    with tempfile.TemporaryDirectory(prefix="mg_files_") as name:
        folder, before = Path(name), {}
        for file in lake.names_beside(table, key):
            before[file] = lake.storage.read(f"{lake.folder(table, key)}/{file}") or b""
            (folder / file).write_bytes(before[file])
        yield folder
        if not write:
            return
        after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        changed = [file for file, content in after.items() if before.get(file) != content]
        cards = [file for file in before if file.endswith(".json") and (file not in after or file in changed)]
        for file in [*cards, *sorted(before.keys() - after.keys() - set(cards))]:
            lake.storage.remove(f"{lake.folder(table, key)}/{file}")
        for file in sorted(changed, key=lambda file: (file.endswith(".json"), file)):  # cards name the others' digests
            lake.write_file(table, key, file, after[file])


def training_folder(lake: Lake, table: str) -> Path:
    """Where finished seeds wait until all are: in the lake's folder, else in the user's cache on this machine.

    Parameters
    ----------
    lake : Lake
    table : str
        Of the models.

    Returns
    -------
    Path
        It need not exist.
    """
    if not lake.storage.remote:
        return Path(lake.storage.base) / table / ".training"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mg" / "training" / hashlib.sha256(lake.root.encode()).hexdigest()[:16] / table
