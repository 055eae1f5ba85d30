"""Partitions that could not be made, and those that must not be: what they would read was rejected or is damaged.

A bad day stops itself and what reads it; the other partitions of its run are made.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mg_assets.errors import DamagedPartitionError, DataError, MgError
from mg_assets.lake.store import Lake
from mg_assets.lake.unchecked import UNCHECKED
from mg_assets.orchestration.staleness import TableRegistry
from mg_models.errors import ModelError
from mg_portfolio.errors import PortfolioError

USER_ERRORS = (MgError, ModelError, PortfolioError)
"""Errors of the data: they concern the partition that was being made. Any other is one of the code."""
LISTED = 5  # of each kind in a message


def unreadable(registry: TableRegistry, lake: Lake, table: str, keys: Sequence[str]) -> dict[str, MgError]:
    """Partitions that would read one that a blocking check rejected, or a damaged one.

    Parameters
    ----------
    registry : TableRegistry
    lake : Lake
    table : str
    keys : sequence of str
        Lake keys of the partitions to be made.

    Returns
    -------
    dict of str to MgError
        The reason of each of them.
    """
    out: dict[str, MgError] = {}
    for need in registry[table].needs:
        found = lake.info(need.table)
        bad = {k: i for k, i in found.items() if i.rejected or i.damaged is not None}
        if need.table == table:
            bad = {k: i for k, i in bad.items() if k not in keys}  # the others are made again
        available = np.array(list(bad), dtype=object)
        for key in keys if bad else ():
            if need.table == table:
                read = [k for k in bad if k < key]  # each partition reads the one before, and so all
            else:
                read = list(registry.window(need, table, key, available))
            for k in read[:1]:
                out.setdefault(key, _refusal(lake, need.table, k, bad[k].damaged, bad[k].rejected))
    return out


def _refusal(lake: Lake, table: str, key: str, damaged: str | None, rejected: Collection[str]) -> MgError:
    if damaged is not None:
        return DamagedPartitionError(lake.path(table, key), damaged)
    if UNCHECKED in rejected:
        return DataError(
            f"it would read {table} {key}, whose checks have not been run: materialise that again, or start mg run, "
            "which checks it"
        )
    return DataError(
        f"it would read {table} {key}, which the blocking check {', '.join(rejected)} rejected: fix the source and "
        "build that again, or name it under accepted in the settings (docs/quality.md)"
    )


def one_line(error: BaseException | str) -> str:
    """An error's message in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def failure_text(name: str, total: int, failed: Mapping[str, Exception], waiting: Sequence[str]) -> str:
    """What a step's failure says: each partition with its reason, the first few, and what to do.

    Parameters
    ----------
    name : str
        Of the step's tables.
    total : int
        Partitions of the step.
    failed : mapping of str to Exception
        Reason by lake key.
    waiting : sequence of str
        Keys that were not attempted, since each reads the one before.

    Returns
    -------
    str
    """
    lines = [f"{name}: {len(failed)} of {total} partitions could not be made, the others are in the lake"]
    lines += [f"{key}: {one_line(error)}" for key, error in list(failed.items())[:LISTED]]
    if len(failed) > LISTED:
        lines.append(f"and {len(failed) - LISTED} more, last {max(failed)}")
    if waiting:
        lines.append(f"{len(waiting)} partitions that follow were not attempted, first {waiting[0]}")
    lines.append(
        "Fix what is named, then materialise the failed and missing partitions again; mg run does so for all tables"
    )
    return "\n".join(lines)
