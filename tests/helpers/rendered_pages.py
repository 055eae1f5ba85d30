"""Each page that the lists of items name, rendered from as little as it takes: an element without data says why."""

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pandas as pd

DOCS = Path(__file__).parents[2] / "docs"


def _gallery(kind: str) -> str:
    from mg_portfolio.report.gallery.page import TABLES, Gallery, render_gallery
    from mg_portfolio.report.published import published_rows

    names = [name for table in TABLES[kind] for name in published_rows(table=table, report="huatai_72")["subject"]]
    empty = pd.DataFrame()
    return render_gallery(Gallery(kind, list(dict.fromkeys(names)), empty, empty, empty))


RENDERED: dict[str, Callable[[], str]] = {
    "factor_evaluation": partial(_gallery, "factors"),
    "signal_evaluation": partial(_gallery, "signals"),
}
"""By the table of the lake whose page it is: a function that gives the page's HTML."""


@cache
def anchors_of(page: str) -> set[str]:
    """Ids of the elements of an HTML page, or of the headings of a document."""
    if page.endswith(".md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    return set(re.findall(r'\bid="([^"]+)"', RENDERED[page]()))
