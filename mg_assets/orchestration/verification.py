"""``mg verify`` as asset checks: each table's check ``files`` reads partitions whole and names what is damaged.

Its own job and schedule run it (:mod:`mg_assets.automation`); no run that makes partitions does, but one from the
button of an asset's page, which reads back the newest of what it wrote. A run without partitions reads what was written
in the last days, and of the older partitions a share that rotates: each of them once in ``rotation_days`` days.
"""

import datetime as dt
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from mg_assets.lake.store import Lake
from mg_assets.lake.verify import VerifiedPartition, verify_partition
from mg_assets.orchestration.checks import lake_keys
from mg_assets.orchestration.metadata import markdown
from mg_assets.orchestration.resources import LakeResource

NAME = "files"
READ_BACK = 5  # partitions of a run with partitions that are read
LISTED = 20  # damaged files shown


class VerifyConfig(dg.Config):
    """Which partitions are read."""

    recent_days: int = Field(default=3, ge=0, description="Every partition that was written in so many last days")
    rotation_days: int = Field(default=60, ge=1, description="Each older partition once in so many days; 1: all now")


def due(lake: Lake, table: str, now: dt.datetime, recent_days: int, rotation_days: int) -> list[str]:
    """Partitions whose turn it is.

    Parameters
    ----------
    lake : Lake
    table : str
    now : datetime
        With a time zone.
    recent_days, rotation_days : int
        As of :class:`VerifyConfig`.

    Returns
    -------
    list of str
        Keys, ascending.
    """
    turn, since = now.date().toordinal() % rotation_days, now.timestamp() - recent_days * 86_400
    recent = lake.written_since(table, since)
    return [
        key
        for key in lake.keys(table)
        if zlib.crc32(f"{table} {key}".encode()) % rotation_days == turn or key in recent
    ]


def file_checks(tables: Iterable[str]) -> dg.AssetChecksDefinition:
    """The check ``files`` of every table, in one step that reads the other tables of the lake, too."""
    names = list(tables)

    @dg.multi_asset_check(
        name="verify_files",
        specs=[
            dg.AssetCheckSpec(NAME, asset=t, description="Partitions are what was written: checksums and digests")
            for t in names
        ],
        can_subset=True,
        compute_kind="parquet",
        description="Reads partitions whole, as mg verify does, and marks damaged ones: the next mg run rebuilds them.",
    )
    def verify_files(
        context: dg.AssetCheckExecutionContext, config: VerifyConfig, lake: LakeResource
    ) -> Iterator[dg.AssetCheckResult]:
        store, made, now = lake.open(), lake_keys(context), dt.datetime.now(dt.UTC)
        selected = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        wanted = [t for t in names if t in selected]
        if len(wanted) == len(names):  # tables of the lake that are no assets: quarantines, results of studies
            wanted += sorted(set(store.storage.tables()) - set(names))
        damaged: list[str] = []
        for table in wanted:
            if made is None:
                keys = due(store, table, now, config.recent_days, config.rotation_days)
            else:
                keys = [key for key in made[-READ_BACK:] if store.has(table, key)]
            found = {key: verify_partition(store, table, key) for key in keys}
            lines = [str(error) for part in found.values() for error in part.damages]
            for line in lines:
                context.log.error(f"{table}: {line}")
            damaged += lines
            if table in names:
                yield _result(table, found, len(store.keys(table)))
        if damaged and made is None:  # so that the sensor of failures reports it
            raise dg.Failure(f"{len(damaged)} damaged files; mg run rebuilds them: {'; '.join(damaged[:5])}")

    return verify_files


def file_check_keys(tables: Sequence[str]) -> list[dg.AssetCheckKey]:
    """Keys of the check ``files`` of some tables."""
    return [dg.AssetCheckKey(dg.AssetKey(table), NAME) for table in tables]


def _result(table: str, found: dict[str, VerifiedPartition], stored: int) -> dg.AssetCheckResult:
    damages = [
        {"partition": key, "file": error.file, "what": error.what}
        for key, part in found.items() for error in part.damages
    ]  # fmt: skip
    metadata: dict[str, Any] = {
        "partitions_read": len(found), "partitions": stored, "files": sum(p.files for p in found.values()),
        "rows": sum(p.rows for p in found.values()), "without_digest": sum(not p.complete for p in found.values()),
    }  # fmt: skip
    if damages:
        metadata |= {"damaged_files": len(damages), "damaged": dg.MetadataValue.md(markdown(damages[:LISTED])),
                     "remedy": "mg run rebuilds damaged partitions"}  # fmt: skip
    return dg.AssetCheckResult(
        asset_key=table, check_name=NAME, passed=not damages, severity=dg.AssetCheckSeverity.ERROR, metadata=metadata
    )
