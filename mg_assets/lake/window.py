"""The window of an upstream table that a partition reads; without Dagster, so that the floors below may say it too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """An upstream table and the window of it that one partition reads.

    ``back`` and ``ahead`` count partitions of the downstream asset (sessions for a daily one).
    """

    table: str
    back: int = 0
    ahead: int = 0
