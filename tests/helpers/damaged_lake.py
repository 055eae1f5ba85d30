"""A lake's files damaged in every way that was met: what each reading makes of them. Seeded."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mg_assets.errors import DamagedPartitionError
from mg_assets.lake.store import Lake
from mg_assets.lake.verify import verify_partition


@dataclass(frozen=True)
class Target:
    """A file of a partition."""

    table: str
    key: str
    path: Path

    @property
    def is_data(self) -> bool:
        """Whether it holds the partition's rows."""
        return self.path.name == "part.parquet"


@dataclass(frozen=True)
class Corruption:
    """One damage that was done, and what a reading made of it: ``named``, ``silent`` or ``same`` (no value changed)."""

    kind: str
    target: Target
    result: str


def truncated(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """Cut off somewhere."""
    content = target.path.read_bytes()
    target.path.write_bytes(content[: int(rng.integers(1, len(content)))])


def empty(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """No byte left."""
    target.path.write_bytes(b"")


def garbage(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """Other bytes, as many."""
    target.path.write_bytes(rng.bytes(target.path.stat().st_size))


def flipped_bits(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """One to three bits."""
    content = bytearray(target.path.read_bytes())
    for at in rng.integers(0, len(content), int(rng.integers(1, 4))):
        content[at] ^= 1 << int(rng.integers(8))
    target.path.write_bytes(bytes(content))


def another_key(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """The file of another partition of the table, or of another table where it has one only."""
    keys = [k for k in lake.keys(target.table) if k != target.key]
    if keys:
        other = Path(lake.folder(target.table, str(rng.choice(keys)))) / target.path.name
    else:
        others = [t for t in lake.storage.tables() if t != target.table]
        table = str(rng.choice(others))
        other = Path(lake.path(table, lake.keys(table)[0]))
    content = other.read_bytes() if other.exists() else b"nothing"
    target.path.write_bytes(content)


def scaled_column(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """A column of numbers times 1.0037, written by another program that keeps the footer's texts."""
    table = pq.ParquetFile(target.path).read()
    numbers = [n for n in table.column_names if pa.types.is_floating(table.schema.field(n).type)]
    numbers = [n for n in numbers if table[n].null_count < len(table)]
    if not numbers:
        return garbage(target, rng, lake)
    name = str(rng.choice(numbers))
    values = pa.array(table[name].to_numpy() * 1.0037, from_pandas=True).cast(table.schema.field(name).type)
    pq.write_table(table.set_column(table.column_names.index(name), name, values), target.path)
    return None


def bare(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """The same without any text in the footer."""
    scaled_column(target, rng, lake)
    try:
        table = pq.ParquetFile(target.path).read()
    except pa.ArrowInvalid:
        return
    pq.write_table(table.replace_schema_metadata(None), target.path)


def float32(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """Columns of half the width."""
    table = pq.ParquetFile(target.path).read()
    fields = [f.with_type(pa.float32()) if f.type == pa.float64() else f for f in table.schema]
    pq.write_table(table.cast(pa.schema(fields, table.schema.metadata)), target.path)


def row_gone(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """The first row left out."""
    table = pq.ParquetFile(target.path).read()
    pq.write_table(table.slice(1), target.path)


def touched(target: Target, rng: np.random.Generator, lake: Lake) -> None:
    """Another time, the same bytes."""
    os.utime(target.path, (2e9, 2e9))


BYTES: tuple[Callable, ...] = (truncated, empty, garbage, flipped_bits, another_key)
PARQUET: tuple[Callable, ...] = (scaled_column, bare, float32, row_gone)


def targets(lake: Lake) -> list[Target]:
    """Every file of every sound partition, files beside the data too."""
    found = []
    for table in lake.storage.tables():
        for key in [k for k, info in lake.info(table).items() if not info.damaged]:
            folder = Path(lake.folder(table, key))
            found += [Target(table, key, p) for p in sorted(folder.iterdir()) if p.is_file() and p.name[0] not in "._"]
    return found


def chosen(lake: Lake, count: int, seed: int) -> list[Target]:
    """That many files of different partitions, of every table in turn."""
    rng = np.random.default_rng(seed)
    by_table: dict[str, list[Target]] = {}
    for target in targets(lake):
        by_table.setdefault(f"{target.table} {target.path.suffix}", []).append(target)
    for files in by_table.values():
        rng.shuffle(files)
    out: list[Target] = []
    taken: set[tuple[str, str]] = set()
    while len(out) < count and any(by_table.values()):
        for files in by_table.values():
            while files:
                target = files.pop()
                if (target.table, target.key) not in taken:
                    taken.add((target.table, target.key))
                    out.append(target)
                    break
    return out[:count]


def corrupt(lake: Lake, target: Target, rng: np.random.Generator) -> str:
    """Damage a file in one way, its times kept; returns the way's name."""
    ways = [*BYTES, *(PARQUET if target.is_data else ()), touched]
    way = ways[int(rng.integers(len(ways)))]
    times = target.path.stat()
    way(target, rng, lake)
    if way is not touched:
        os.utime(target.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return way.__name__


def outcome(lake: Lake, target: Target, sound: pa.Table, before: bytes) -> str:
    """What a whole reading of the partition and ``mg verify`` make of it, as a fresh process would."""
    lake = Lake(lake.root)
    if target.path.read_bytes() == before:
        return "same"
    if target.is_data:
        try:
            read = lake.table(target.table, target.key)
        except DamagedPartitionError as error:
            named = str(target.path) in str(error)
        else:
            if read.equals(sound):  # a bit of a page's header that nothing reads
                return "same"
            named = False
    else:
        named = lake.info(target.table, [target.key])[target.key].damaged is not None
    damages = verify_partition(lake, target.table, target.key).damages
    marked = Lake(lake.root).info(target.table)[target.key].damaged is not None
    return "named" if named and damages and marked else "silent"


def campaign(lake: Lake, count: int, seed: int, restore: bool = True) -> list[Corruption]:
    """Damage that many files one by one and read each; ``restore`` puts the sound file back."""
    rng = np.random.default_rng(seed)
    found = []
    for target in chosen(lake, count, seed):
        sound, before = lake.table(target.table, target.key), target.path.read_bytes()
        times = target.path.stat()
        kind = corrupt(lake, target, rng)
        found.append(Corruption(kind, target, outcome(lake, target, sound, before)))
        if restore:
            target.path.write_bytes(before)
            os.utime(target.path, ns=(times.st_atime_ns, times.st_mtime_ns))
            mark = target.path.parent / "_damaged.json"
            mark.unlink(missing_ok=True)
    return found


def contents(lake: Lake) -> dict[tuple[str, str], str]:
    """Digest of every partition."""
    return {
        (table, key): f"{info.digest} {info.damaged or ''}"
        for table in lake.storage.tables()
        for key, info in lake.info(table).items()
    }


def copied(lake: Lake, folder: Path) -> Lake:
    """A copy of a lake."""
    return Lake(shutil.copytree(lake.root, folder, symlinks=True))
