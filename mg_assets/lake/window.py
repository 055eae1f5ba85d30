"""The window of an upstream table that a partition reads; without Dagster, so that libraries below it can state one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UpstreamWindow:
    """An upstream table and the window of it that one partition reads.

    ``back`` and ``ahead`` count partitions of the downstream asset (sessions for a daily one).
    """

    table: str
    back: int = 0
    ahead: int = 0
