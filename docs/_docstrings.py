"""Of the documentation site: docstrings as Markdown, with roles as plain code and doctests as code blocks."""

import re

from griffe import Extension, Module, Object

ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):`~?([^`]+)`")
DOCTEST = re.compile(r"(?:^>>> .*\n(?:^(?!\s*$).*(?:\n|\Z))*)+", re.MULTILINE)


class Docstrings(Extension):
    """Rewrites each docstring before it is parsed."""

    def on_package(self, *, pkg: Module, **_: object) -> None:
        """Rewrite those of a package.

        Parameters
        ----------
        pkg : griffe.Module
        """
        waiting: list[Object] = [pkg]
        while waiting:
            found = waiting.pop()
            waiting += [member for member in found.members.values() if isinstance(member, Object)]
            if found.docstring:
                text = ROLE.sub(r"`\1`", found.docstring.value)
                found.docstring.value = DOCTEST.sub(lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", text)
