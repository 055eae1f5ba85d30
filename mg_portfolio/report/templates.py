"""Jinja templates of the pages, with the style sheets that each page includes."""

import re
from functools import cache

import jinja2
from markupsafe import Markup, escape


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mg_portfolio", "report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def template(name: str) -> jinja2.Template:
    """Template by its file: ``weekly/page.html``, ``signal_study/page.html``, ``tear_sheet/page.html``, .."""
    return _environment().get_template(name)


def marked(text: str) -> Markup:
    """HTML of a text, with `code` elements for what is in backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
