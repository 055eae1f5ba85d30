"""Stocks that a run or an ingest took out of the lake since the source no longer has them: none leaves silently."""

from collections.abc import Collection, Iterator

from mg_assets.lake.restatement import FIRST, Restatement, recorded
from mg_assets.lake.store import Lake
from mg_assets.orchestration.restatements import counted, span_of, stocks_in_words
from mg_assets.sources.base import RAW_TABLES


def left_stocks(lake: Lake, batch: str, score_tables: Collection[str] = ()) -> list[str]:
    """Which stocks of the source's tables have no row where they had one before the run, on which days.

    Parameters
    ----------
    lake : Lake
    batch : str
        The run, as its restatements name it.
    score_tables : collection of str
        Signals of the user's files.

    Returns
    -------
    list of str
        A line each table and one on what to do; none where no stock has left.
    """
    wanted = (*RAW_TABLES, *score_tables)
    lost = [r for r in recorded(lake, wanted) if r.batch == batch and _of_source(r, score_tables)]
    together: dict[str, list[str]] = {}
    for table in wanted:
        for text in _texts([r for r in lost if r.table == table]):
            together.setdefault(text, []).append(table)
    if not together:
        return []
    tables = dict.fromkeys(table for names in together.values() for table in names)
    return [
        "stocks had rows in the lake that the source no longer has (their file or rows are gone, or are invalid now):",
        *(f"  {', '.join(names)}: {text}" for text, names in together.items()),
        "If that is meant, nothing is to be done: the lake holds what the source has, and the next run names only what "
        f"leaves then. If not, put the files back and run again. mg diff --rebuilt {' '.join(tables)} shows the rows.",
    ]


def _of_source(found: Restatement, score_tables: Collection[str]) -> bool:
    """Whether a partition lost stocks, and not since one upstream did, which has its own line."""
    return found.left > 0 and (found.from_source or found.definition or found.table in score_tables)


def _texts(found: list[Restatement]) -> Iterator[str]:
    """The stocks with the days on which they left, those of the same days together."""
    if not found:
        return
    if any(r.left > FIRST for r in found):
        top = max(found, key=lambda r: r.left)
        most = f"up to {stocks_in_words(top.left, top.first_left)} a day"
        yield f"{most}, {counted(found, 'day')}, {span_of(sorted(r.key for r in found))}"
        return
    days: dict[str, list[str]] = {}
    for one in found:
        for stock in one.first_left:
            days.setdefault(stock, []).append(one.key)
    together: dict[tuple[str, ...], list[str]] = {}
    for stock, each in days.items():
        together.setdefault(tuple(sorted(each)), []).append(stock)
    shown = sorted(together.items())
    for keys, stocks in shown[:FIRST]:
        yield f"{stocks_in_words(len(stocks), sorted(stocks))}, {counted(keys, 'day')}, {span_of(keys)}"
    if len(shown) > FIRST:
        rest = sorted({stock for _, names in shown[FIRST:] for stock in names})
        yield f"and {stocks_in_words(len(rest), rest)} on other days"
