"""Pages beside a lake's tables (reports, studies, galleries): their links in the UI, and what a link opens."""

import re
from urllib.parse import quote

from mg_assets.lake.store import Lake

TYPES = {".html": "text/html; charset=utf-8", ".pdf": "application/pdf"}
_NEWEST = re.compile(r"(?P<table>[A-Za-z0-9_]+)/(?P<name>[0-9A-Za-z_-]+(?:\.html|\.pdf))")
_PAGE = re.compile(r"[A-Za-z0-9_]+(?:/[a-z]+=[0-9A-Za-z-]+)?/[0-9A-Za-z_-]+(?P<kind>\.html|\.pdf)")
"""Table, partition's folder, page: no name that leads elsewhere."""


def page_link(lake: Lake, path: str) -> str:
    """The address of a page on the server of ``mg ui``.

    Parameters
    ----------
    lake : Lake
    path : str
        As :meth:`Lake.write_file` returned it.

    Returns
    -------
    str
        Without host: ``/lake/weekly_report/week%3D2023-09-25/report_en.html``.
    """
    return "/lake/" + quote(path.removeprefix(lake.storage.base).lstrip("/"))


def find_page(lake: Lake, path: str) -> tuple[bytes, str] | None:
    """A page's content and media type.

    Parameters
    ----------
    lake : Lake
    path : str
        What follows ``/lake/`` in its address.

    Returns
    -------
    tuple of (bytes, str) or None
        None where the path is none of a page's, or the page is absent.
    """
    found = _PAGE.fullmatch(path)
    body = lake.storage.read(f"{lake.storage.base}/{path}") if found else None
    return None if found is None or body is None else (body, TYPES[found["kind"]])


def newest_page(lake: Lake, path: str) -> str | None:
    """The address of a page's newest partition, for a path that names none.

    Parameters
    ----------
    lake : Lake
    path : str
        What follows ``/lake/``: ``weekly_report/report_en.html``.

    Returns
    -------
    str or None
        As of :func:`page_link`; None where no partition has the page.
    """
    found = _NEWEST.fullmatch(path)
    if found is None:
        return None
    for key in reversed(lake.keys(found["table"])):
        page = f"{lake.folder(found['table'], key)}/{found['name']}"
        if lake.storage.exists(page):
            return page_link(lake, page)
    return None
