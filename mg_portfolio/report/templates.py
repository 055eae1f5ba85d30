"""Jinja templates of the pages, with the style sheets that each page includes."""

from functools import cache

import jinja2


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mg_portfolio", "report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def template(name: str) -> jinja2.Template:
    """Template by its file: ``weekly/page.html``, ``signal_study/page.html``, ``tear_sheet/page.html``, .."""
    return _environment().get_template(name)
