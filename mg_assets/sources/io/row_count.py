"""The law of every reader: a file's data lines are the rows read, those set aside and those left out by name."""

from pathlib import Path

from mg_assets.errors import SourceError


def require_all_rows(path: str | Path, lines: int, **parts: int) -> None:
    """Check that every data line of a file went somewhere that is counted.

    Parameters
    ----------
    path : str or Path
        The file, or what else the rows came from.
    lines : int
        Its data lines, without header and empty lines.
    **parts : int
        What became of them: ``read``, ``set_aside``, ``other_securities``, and whatever is left out by name.

    Raises
    ------
    SourceError
        The parts are more or fewer than the lines.
    """
    total = sum(parts.values())
    if total != lines:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in parts.items())
        raise SourceError(
            f"{path}: {lines} data lines, but {total} are accounted for ({counts}); a reader must not lose a row: "
            "report this with the file"
        )
