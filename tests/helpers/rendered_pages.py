"""Each page that the lists of items name, rendered from as little as it takes: an element without data says why."""

import re
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

RENDERED: dict[str, Callable[[], str]] = {}
"""By the table of the lake whose page it is: a function that gives the page's HTML."""


def anchors_of(page: str) -> set[str]:
    """Ids of the elements of an HTML page, or of the headings of a document."""
    if page.endswith(".md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    return set(re.findall(r'\bid="([^"]+)"', RENDERED[page]()))
