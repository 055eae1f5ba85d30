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


class SettingsError(DataError):
    """Settings that are not what is allowed, one line a problem: file or variable, key, value, what was expected."""

    def __str__(self) -> str:
        return "\n".join(self.args)


class DamagedPartitionError(DataError):
    """A partition's file, or one beside it, is not what the lake wrote: damaged, or put there from elsewhere.

    Parameters
    ----------
    file : str
        Path of the file.
    what : str
        What is wrong with it.
    """

    def __init__(self, file: str, what: str):
        super().__init__(file, what)
        self.file, self.what = file, what

    def __str__(self) -> str:
        return f"{self.file} is damaged: {self.what}; run again: it is rebuilt"
