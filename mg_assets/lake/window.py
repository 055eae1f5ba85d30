"""The window of an upstream table that a partition reads; without Dagster, so that libraries below it can state one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UpstreamWindow:
    """An upstream table and the window of it that one partition reads.

    A daily partition reads weeks and months that have ended before it. A half-year's training reads what is before
    its first day.

    Attributes
    ----------
    table : str
    back, ahead : int
        Partitions of the downstream asset (sessions for a daily one) before and after its own.
    sessions : int or None
        Of a half-year's training: how many sessions before the half-year it reads; None for all.
    columns : tuple of (str, int)
        The columns that are read, and how many of the window's last sessions each is not read of (a return that was
        not complete then). Changes of other columns do not matter. Empty: all columns, to the window's end.
    """

    table: str
    back: int = 0
    ahead: int = 0
    sessions: int | None = None
    columns: tuple[tuple[str, int], ...] = ()
