"""Reads partitions whole and compares them with the digests in their footers."""

from dataclasses import dataclass

from mg_assets.errors import DamagedPartitionError
from mg_assets.lake.digest import ContentDigest
from mg_assets.lake.integrity import PartitionFile
from mg_assets.lake.storage import DATA_FILE
from mg_assets.lake.store import Lake


@dataclass(frozen=True)
class VerifiedPartition:
    """What a whole reading of a partition showed.

    Attributes
    ----------
    rows : int
    files : int
        Read, those beside the data included.
    complete : bool
        False where the file has no digest to compare with: one of an older version, or of another program.
    damages : tuple of DamagedPartitionError
        One a file that is not what was written.
    """

    rows: int = 0
    files: int = 1
    complete: bool = True
    damages: tuple[DamagedPartitionError, ...] = ()


def verify_partition(lake: Lake, table: str, key: str) -> VerifiedPartition:
    """Read a partition and the files beside it; mark what is damaged, so that the next run rebuilds it.

    Parameters
    ----------
    lake : Lake
    table, key : str

    Returns
    -------
    VerifiedPartition
    """
    try:
        with lake.opened(table, key) as file:
            footer, found = file.footer, _content(file)
    except DamagedPartitionError as error:
        return VerifiedPartition(damages=(error,))
    damages = []
    if footer.digest is not None and found != footer.digest:
        written = footer.digest["columns"]
        wrong = [name for name, digest in found["columns"].items() if written.get(name) != digest]
        damages.append((DATA_FILE, f"other values than were written in {', '.join(wrong) or 'its columns'}"))
    damages += lake.damages_beside(table, key, footer.files)
    for _, what in damages:
        lake.mark_damaged(table, key, what)
    folder = lake.address(table, key)
    errors = tuple(DamagedPartitionError(f"{folder}/{name}", what) for name, what in damages)
    return VerifiedPartition(footer.parquet.num_rows, 1 + len(footer.files), footer.digest is not None, errors)


def _content(file: PartitionFile) -> dict:
    digest = ContentDigest()
    for group in range(file.parquet.num_row_groups):  # one at a time: memory is that of a row group
        digest.add(file.read_row_groups([group]))
    if not file.parquet.num_row_groups:
        digest.add(file.schema.empty_table())
    return digest.result()
