"""Jinja templates of the pages, with the style sheets that each page includes."""

import re
from functools import cache

import jinja2
from markupsafe import Markup, escape

_SIMULATED = {"en": "simulated exchange", "zh": "模拟交易所"}


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("mg_portfolio", "report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["source_name"] = source_name
    return made


def template(name: str) -> jinja2.Template:
    """Template by its file: ``weekly/page.html``, ``signal_study/page.html``, ``tear_sheet/page.html``, .."""
    return _environment().get_template(name)


def source_name(name: str, lang: str) -> str:
    """Name of the data source in a language: the simulated exchange's, else its own."""
    return _SIMULATED[lang] if name == "simulated" else name


def marked(text: str) -> Markup:
    """HTML of a text, with `code` elements for what is in backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
