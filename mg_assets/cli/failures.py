"""What a run could not build, and what waits for it."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from mg_assets.assets import TABLES
from mg_assets.lake.window import UpstreamWindow
from mg_assets.orchestration.partitions import HALF_YEARLY

Partition = tuple[str, str]
"""A table and a lake key."""

ORDER = {table: number for number, table in enumerate(TABLES)}  # upstream tables first
LISTED = 20  # failed partitions at the end of a run
NAMED = 5  # tables of what waits for one


class RunFailures:
    """Partitions that failed in a run, and those that wait for them: what reads them, through all tables.

    Parameters
    ----------
    skip : bool
        Go on as if the failed partitions were absent: only tables of the very same day wait, and what reads a window
        of days is built without them.
    """

    def __init__(self, skip: bool = False):
        self.skip = skip
        self.reasons: dict[Partition, str] = {}
        self._waiting: dict[str, dict[str, frozenset[Partition]]] = {}  # table -> key -> the failed ones it waits for

    def add(self, table: str, key: str, reason: str) -> None:
        """Record a failed partition; a second reason is added to the first."""
        before = self.reasons.get((table, key))
        self.reasons[table, key] = reason if before in (None, reason) else f"{before}; {reason}"

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Take partitions as not yet attempted."""
        for partition in partitions:
            self.reasons.pop(partition, None)

    def blocked(self) -> dict[str, list[str]]:
        """Keys that failed or wait, ascending, by table."""
        out: dict[str, set[str]] = {table: set(keys) for table, keys in self._waiting.items() if keys}
        for table, key in self.reasons:
            out.setdefault(table, set()).add(key)
        return {table: sorted(keys) for table, keys in out.items()}

    def waiting(self, tables: Iterable[str]) -> int:
        """How many partitions of the tables wait."""
        return sum(len(self._waiting.get(t, ())) for t in tables)

    def ready(
        self, stale: Mapping[str, Sequence[str]], rejected: Mapping[str, Collection[str]]
    ) -> dict[str, list[str]]:
        """Stale partitions that can be built now; the others of them wait.

        Parameters
        ----------
        stale : dict of str to sequence of str
            Stale keys of each table.
        rejected : dict of str to collection of str
            Those of them that a blocking check had rejected: they are built first, and what reads them afterwards.

        Returns
        -------
        dict of str to list of str
        """
        known = self.blocked()
        retried = {t: sorted(set(keys).difference(known.get(t, ()))) for t, keys in rejected.items()}
        again = {t: np.array(keys, dtype=object) for t, keys in retried.items() if keys}
        skip = self.skip and not again
        out: dict[str, list[str]] = {}
        for table, keys in sorted(stale.items(), key=lambda item: ORDER[item[0]]):
            self._waiting[table] = {}
            out[table] = []
            bad = self.blocked()
            for key in keys:
                if (table, key) in self.reasons:
                    continue
                causes = self._causes(table, key, bad, again, skip)
                if causes:
                    self._waiting[table][key] = causes
                    bad.setdefault(table, []).append(key)  # of a table whose partitions read the one before
                else:
                    out[table].append(key)
        return out

    def _causes(
        self, table: str, key: str, bad: Mapping[str, Sequence[str]], again: Mapping[str, np.ndarray], skip: bool
    ) -> frozenset[Partition]:
        """The failed partitions that a partition waits for."""
        causes: set[Partition] = set()
        for need in TABLES[table].needs:
            up = need.table
            if up == table:
                read = [k for k in (*bad.get(up, ()), *again.get(up, ())) if k < key]
            else:
                read = _read(need, table, key, bad[up], skip) if up in bad else []
                read += list(TABLES.window(need, table, key, again[up])) if up in again else []
            for k in read:
                causes |= {(up, k)} if (up, k) in self.reasons else self._waiting.get(up, {}).get(k, {(up, k)})
        return frozenset(causes)

    def groups(self, partitions: Collection[Partition]) -> list[tuple[list[str], str, str]]:
        """Failed partitions as (tables, key, reason), tables of one key and reason together, by key."""
        found: dict[tuple[str, str], list[str]] = {}
        for table, key in sorted(partitions, key=lambda p: (p[1], ORDER[p[0]])):
            found.setdefault((key, self.reasons[table, key]), []).append(table)
        return [(tables, key, reason) for (key, reason), tables in found.items()]

    def lines(self) -> list[str]:
        """The list at the end of a run: each failed partition with its reason, and what waits for it."""
        groups = self.groups(self.reasons)
        if not groups:
            return []
        built = "what does not read them on the same day is built" if self.skip else "what does not need them is built"
        out = [f"{len(self.reasons)} partitions {'skipped' if self.skip else 'failed'}; {built}:"]
        for tables, key, reason in groups[:LISTED]:
            out.append(f"  {', '.join(tables)} {key}: {reason}")
            out.append(f"     {self._behind({(t, key) for t in tables})}")
        if len(groups) > LISTED:
            out.append(f"  and {len(groups) - LISTED} more, to {groups[-1][1]}")
        total = self.waiting(self._waiting)
        wait = f"{total} partitions wait in all" if total else "Nothing waits"
        out.append(f"{wait}. The next mg run tries the failed ones again{', then what waits' if total else ''}.")
        if total and not self.skip:
            out.append("mg run --skip-failed goes on without them where a window of days is read.")
        return out

    def _behind(self, failed: set[Partition]) -> str:
        counts = {
            table: sum(not failed.isdisjoint(causes) for causes in self._waiting[table].values())
            for table in sorted(self._waiting, key=ORDER.__getitem__)
        }
        named = [f"{table} {count}" for table, count in counts.items() if count]
        if not named:
            return "nothing waits for it"
        more = f" and {len(named) - NAMED} more tables" if len(named) > NAMED else ""
        return f"{sum(counts.values())} partitions wait for it: {', '.join(named[:NAMED])}{more}"


def _read(need: UpstreamWindow, table: str, key: str, bad: Sequence[str], skip: bool) -> list[str]:
    """Which of the bad partitions of an upstream table keep a partition from being built."""
    down, up = TABLES[table].definition, TABLES[need.table].definition
    if skip and up == down and up is not None:
        return [k for k in bad if k == key]
    read = list(TABLES.window(need, table, key, np.array(bad, dtype=object)))
    return [] if skip and up is not None and up != HALF_YEARLY else read
