"""Errors of the application. Every message names file, day, stock or column, and the remedy."""


class MgError(Exception):
    """Base of the errors that a user can act on."""


class DataError(MgError, ValueError):
    """Input rows, files or partitions do not fit the table's schema, or an argument is out of range."""


class MissingPartitionError(MgError, KeyError):
    """A partition that a computation needs is not in the lake."""

    def __str__(self) -> str:  # KeyError would show the message's repr
        return str(self.args[0]) if self.args else ""


class SourceError(MgError):
    """A source is misconfigured, or a file of it cannot be read."""
