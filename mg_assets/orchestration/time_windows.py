"""Time-window partitions whose excluded days cost nothing: a thousand closed days slow every page of Dagster's.

Dagster hashes a definition as the text that names each excluded day, thousands of times a page, since its caches of
windows are keyed by definitions; and it looks for one key at a time. :func:`speed_up` puts two methods in their place,
in every process that has the graph or opens a Dagster home that names our event logs: web server, daemon, code server
and runs. The answers are Dagster's own (``tests/mg_assets/orchestration/test_time_windows.py``).
"""

from collections.abc import Set

from dagster import TimeWindowPartitionsDefinition

_HASH = "_hash_of_text"
_hash_of_text = TimeWindowPartitionsDefinition.__hash__


def _hash_once(self: TimeWindowPartitionsDefinition) -> int:
    """Dagster's hash of a definition, which never changes, kept beside it."""
    if _HASH not in self.__dict__:
        self.__dict__[_HASH] = _hash_of_text(self)
    return self.__dict__[_HASH]


def _valid_keys(self: TimeWindowPartitionsDefinition, partition_keys: Set[str]) -> Set[str]:
    """Those of the keys that the definition has, from one pass over its windows."""
    return partition_keys & set(self.get_partition_keys())


def speed_up() -> None:
    """Put both methods in place, where this Dagster's definitions can keep a hash."""
    if not TimeWindowPartitionsDefinition.__dictoffset__:
        return
    TimeWindowPartitionsDefinition.__hash__ = _hash_once  # type: ignore[method-assign]
    TimeWindowPartitionsDefinition.filter_valid_partition_keys = _valid_keys  # type: ignore[assignment,method-assign]
