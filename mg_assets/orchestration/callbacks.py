"""What follows a run as it goes: a terminal sets these, the UI reads the event log."""

from collections.abc import Callable

from mg_assets.quality.suite import CheckOutcome

OnProgress = Callable[[str, int, int, float], None]
"""Takes a table, how many of its partitions are done, how many there are, and the seconds left (NaN: not known yet)."""
OnFailure = Callable[[str, str, Exception], None]
"""Takes a table, the lake key of its partition that could not be made, and the reason."""

on_progress: OnProgress | None = None
"""Called after each partition."""
on_message: Callable[[str], None] | None = None
"""Called with each line that an asset logs."""
on_failure: OnFailure | None = None
"""Called at the end of a step for each partition that could not be made."""
on_outcome: Callable[[str, CheckOutcome], None] | None = None
"""Called with the table and the outcome of each check that fails."""
