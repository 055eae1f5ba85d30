"""Every chart and table of the four reports, and where its counterpart is.

One YAML file a report holds a list of items. An item has either ``page`` and ``anchor``, and where needed ``differs``
and ``needs``; or ``reason``, why it has no counterpart. `report_page` and `index_page` write ``docs/reports``.

- ``item``: as printed, ``chart 45``, ``figure 4``, ``table 10``; ``title``: what it shows
- ``page``: the table of the lake whose HTML page shows the counterpart, or a file below ``docs``
- ``anchor``: id of the element of the HTML page, or of the heading in the document
- ``differs``: how ours differs from the printed; ``needs``: data or settings without which it is empty
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from mg_portfolio.arguments import EvaluationError

SERVER = "http://127.0.0.1:3000"
"""Where ``mg ui`` serves the pages of a lake by default."""
WEEKLY = "weekly_report"
_WEEKS = (
    "The weekly report has a page a week: the link opens the newest; those of other weeks are on the asset's page "
    "`weekly_report`."
)


@dataclass(frozen=True)
class Report:
    """A report: its name, the sort of its items and how many of each it prints."""

    title: str
    counts: Mapping[str, int]

    @property
    def items(self) -> list[str]:
        """``chart 1`` .. in the printed order, figures before tables."""
        return [f"{kind} {n}" for kind, count in self.counts.items() for n in range(1, count + 1)]


REPORTS = {
    "series_72": Report("Huatai, series 72: full-band stock selection (2023-12-08)", {"chart": 68}),
    "series_88": Report("Haitong, series 88: multi-granularity models (2023)", {"figure": 16, "table": 13}),
    "series_69": Report("Huatai, series 69: attention mechanisms (2023-08-22)", {"chart": 37}),
    "weekly": Report("Haitong, weekly factor report (2023-12-15)", {"figure": 36, "table": 2}),
}


@dataclass(frozen=True)
class Item:
    """A chart or table of a report and its counterpart, or the reason why it has none."""

    item: str
    title: str
    page: str = ""
    anchor: str = ""
    differs: str = ""
    needs: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        empty = [name for name, value in vars(self).items() if not isinstance(value, str)]
        if empty or not self.title:
            raise EvaluationError(f"{self.item}: {', '.join(empty) or 'title'} was no text")
        if bool(self.reason) == bool(self.page) or bool(self.page) != bool(self.anchor):
            raise EvaluationError(f"{self.item}: expected page and anchor, or a reason")


@cache
def load_items(report: str) -> tuple[Item, ...]:
    """Items of one report, in the order of its file.

    Parameters
    ----------
    report : {"series_72", "series_88", "series_69", "weekly"}

    Returns
    -------
    tuple of Item

    Raises
    ------
    EvaluationError
        An item with neither a page nor a reason, or with both.
    """
    text = files("mg_portfolio.report.items").joinpath(f"{report}.yaml").read_text(encoding="utf-8")
    return tuple(Item(**entry) for entry in yaml.safe_load(text))


def report_page(report: str) -> str:
    """Markdown of a report: each item, where its counterpart is, what differs and what the data must have."""
    items = load_items(report)
    shown = [i for i in items if i.page]
    lines = [
        f"# {REPORTS[report].title}",
        "",
        "Written by `make docs` from the list of the report's charts and tables; [all reports](index.md).",
        "",
        *_counts(items),
        "",
        "A page lies beside a table of the lake; its link opens while `mg ui` serves that lake (`_zh` in place of "
        "`_en` is the same in Chinese). What follows `#` is the element's id.",
        *([_WEEKS] if any(i.page == WEEKLY for i in items) else []),
        "",
    ]
    lines += ["## Counterparts", "", "| item | shows | page | differs | needs |", "|---|---|---|---|---|"]
    lines += [f"| {i.item} | {i.title} | {_link(i)} | {i.differs} | {i.needs} |" for i in shown]
    left = [i for i in items if i.reason]
    if left:
        lines += ["", "## Without a counterpart", "", "| item | shows | why |", "|---|---|---|"]
        lines += [f"| {i.item} | {i.title} | {i.reason} |" for i in left]
    return "\n".join(lines) + "\n"


def index_page() -> str:
    """Markdown of the list of reports with the number of items of each kind."""
    lines = [
        "# The four reports",
        "",
        "Each chart and table of the reports that the models, factors and portfolios come from, and where its "
        "counterpart is. Written by `make docs`.",
        "",
        "| report | items | with a counterpart | of these, with a difference | need other data or settings | none |",
        "|---|---|---|---|---|---|",
    ]
    for name, report in REPORTS.items():
        lines.append(f"| [{report.title}]({name}.md) | " + " | ".join(map(str, _numbers(load_items(name)))) + " |")
    total = [sum(column) for column in zip(*(_numbers(load_items(name)) for name in REPORTS), strict=True)]
    lines.append("| all | " + " | ".join(map(str, total)) + " |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Markdown of every generated page by its file name."""
    return {"index.md": index_page()} | {f"{name}.md": report_page(name) for name in REPORTS}


def write_pages(folder: Path) -> None:
    """Write the generated pages into a folder (``docs/reports``)."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def _numbers(items: Sequence[Item]) -> tuple[int, ...]:
    return (
        len(items),
        sum(bool(i.page) for i in items),
        sum(bool(i.differs) for i in items),
        sum(bool(i.needs) for i in items),
        sum(bool(i.reason) for i in items),
    )


def _counts(items: Sequence[Item]) -> list[str]:
    every, shown, differs, needs, none = _numbers(items)
    return [
        f"{every} charts and tables: {shown} have a counterpart ({differs} with a difference that is said, {needs} of "
        f"which need data or settings beyond `make run`), {none} have none."
    ]


def _link(item: Item) -> str:
    if item.page.endswith(".md"):
        return f"[{item.page}](../{item.page}#{item.anchor})"
    name = "report" if item.page == WEEKLY else item.page
    return f"[{item.page}#{item.anchor}]({SERVER}/lake/{item.page}/{name}_en.html#{item.anchor})"
