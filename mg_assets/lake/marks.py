"""Marks beside a partition's data: the blocking checks that it failed, and that its file is damaged.

A mark speaks of one content or one file: it counts for nothing once the partition is replaced.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mg_assets.lake.index import PartitionInfo, Stamp

CHECK_RESULT_FILE = "_failed_checks.json"  # readers of Parquet folders skip names with a leading underscore
DAMAGE_FILE = "_damaged.json"
MARKS = (CHECK_RESULT_FILE, DAMAGE_FILE)


def check_mark(failed: Sequence[str], digest: str | None) -> bytes:
    """The mark of a partition whose content of that digest failed blocking checks."""
    return json.dumps({"failed": list(failed), "digest": digest}).encode()


def damage_mark(what: str, stamp: Stamp | None) -> bytes:
    """The mark of a partition whose file of that stamp is damaged."""
    return json.dumps({"what": what, "stamp": stamp}).encode()


def read_mark(text: bytes) -> dict[str, Any] | None:
    """The facts of a mark; None where it cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def with_marks(info: PartitionInfo, stamp: Stamp, texts: Mapping[str, bytes | None]) -> PartitionInfo:
    """A partition with what the marks beside it say, where they speak of this very content and file.

    Parameters
    ----------
    info : PartitionInfo
        As its footer describes it.
    stamp : Stamp
        Of its file.
    texts : dict of str to bytes
        The marks by name; None for one that was just removed.

    Returns
    -------
    PartitionInfo
    """
    for name, text in texts.items():
        if text is None or info.damaged is not None:  # a damaged one: of no further interest
            continue
        mark = read_mark(text)
        if name == CHECK_RESULT_FILE and (mark is None or mark.get("digest") == info.digest):
            info = replace(info, rejected=tuple((mark or {}).get("failed", (f"{name}, which cannot be read",))))
        if name == DAMAGE_FILE and (mark is None or _same_file(mark.get("stamp"), stamp)):
            what = (mark or {}).get("what", f"its mark {name} cannot be read")
            info = replace(info, damaged=what, digest=None)
    return info


def _same_file(marked: object, stamp: Stamp) -> bool:
    """Whether a mark's stamp is of this file: by size and inode (or version), since times can be set."""
    return isinstance(marked, list) and len(marked) == len(stamp) and (marked[0], marked[-1]) == (stamp[0], stamp[-1])
