"""What the documents name exists: files, modules, functions, tests, commands; and the glossary is in order."""

import ast
import contextlib
import importlib
import io
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from pages import without_old_names

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
PACKAGES = "mg_assets|mg_models|mg_portfolio|mg_axes"
FOLDERS = f"{PACKAGES}|benchmarks|deploy|docs|examples|tests"
PATH = re.compile(rf"(?<![\w/.:])(?:{FOLDERS})/[\w./-]*\w")
DOTTED = re.compile(rf"(?<![\w/.-])(?:{PACKAGES})(?:\.\w+)+(?![\w/-])")
LINK = re.compile(r"\]\(([^)\s]+)\)")
TEST = re.compile(r"\b(test_\w+)\b(?!\.py)")
COMMAND = re.compile(r"(?:^|`|&& |    )(?:MG_\w+=\S+ )*(make|mg) ([a-z][\w-]*)", re.MULTILINE)
GLOSSARY = ROOT / "docs" / "glossary.md"
LONGEST_TEST_NAME = 60


@cache
def text_of(page: Path) -> str:
    """A page without the names of what is gone."""
    return without_old_names(page.read_text(encoding="utf-8"))


@cache
def tracked() -> list[str]:
    """Files of the checkout that version control knows or would take."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in found.stdout.split("\n") if (ROOT / name).is_file()]


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute reached from one."""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


def imports(page: Path) -> list[str]:
    """Import statements of a page's Python examples."""
    blocks = re.findall(r"```(?:python|pycon)\n(.*?)```", text_of(page), re.DOTALL)
    code = [re.sub(r"^(>>> |\.\.\. )", "", block, flags=re.MULTILINE) for block in blocks if ">>>" not in block]
    code += ["\n".join(re.findall(r"^(?:>>> |\.\.\. )(.*)", block, re.MULTILINE)) for block in blocks if ">>>" in block]
    nodes = [node for block in code for node in ast.walk(ast.parse(block))]
    return [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
class TestPage:
    def test_paths_exist(self, page):
        missing = {name for name in PATH.findall(text_of(page)) if not (ROOT / name).exists()}
        assert not missing

    def test_dotted_names_resolve(self, page):
        missing = {n for n in DOTTED.findall(text_of(page)) if not n.endswith((".py", ".md")) and not resolves(n)}
        assert not missing

    def test_links_lead_somewhere(self, page):
        links = [target.partition("#") for target in LINK.findall(text_of(page)) if "://" not in target]
        assert [path for path, _, _ in links if path and not (page.parent / path).exists()] == []
        for path, _, anchor in links:
            target = page.parent / path if path else page
            if anchor and target.suffix == ".md":
                assert anchor in anchors(target), f"{page.name} links to {target.name}#{anchor}"

    def test_examples_import_what_exists(self, page):
        for statement in imports(page):
            exec(statement, {})

    def test_named_tests_exist(self, page):
        source = "\n".join((ROOT / n).read_text(encoding="utf-8") for n in tracked() if n.startswith("tests/"))
        assert {name for name in TEST.findall(text_of(page)) if name not in source} == set()

    def test_commands_exist(self, page):
        make = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        known = {"make": make, "mg": commands()}
        assert {f"{tool} {verb}" for tool, verb in COMMAND.findall(text_of(page)) if verb not in known[tool]} == set()


@cache
def anchors(page: Path) -> set[str]:
    """Anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@cache
def commands() -> set[str]:
    """The verbs of ``mg``."""
    from mg_assets.cli.main import main

    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        main(["--help"])
    return set(re.findall(r"^    ([a-z][a-z-]*)(?: |$)", shown.getvalue(), re.MULTILINE))


def terms() -> list[list[str]]:
    """Rows of the glossary: English, Chinese, meaning, where."""
    rows = [line.strip("|").split("|") for line in GLOSSARY.read_text(encoding="utf-8").split("\n") if line[:2] == "| "]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def test_glossary_has_four_cells_a_term():
    assert [row for row in terms() if len(row) != 4 or not all(row)] == []
    assert len(terms()) > 80


def test_glossary_is_sorted_and_names_a_term_once():
    names = [row[0].casefold() for row in terms()]
    assert names == sorted(names)
    assert len(names) == len(set(names))


def test_glossary_says_where_each_term_lives():
    for term, _, _, where in terms():
        paths = re.findall(r"`([^`]+)`", where)
        assert paths, f"{term}: no module is named"
        assert [path for path in paths if not (ROOT / path).is_file()] == [], term


def test_glossary_speaks_chinese():
    assert [row[0] for row in terms() if not re.search("[\u4e00-\u9fff]", row[1])] == []


def test_names_of_tests_are_short():
    long = []
    for name in (n for n in tracked() if n.startswith("tests/") and n.endswith(".py")):
        functions = [n for n in ast.walk(ast.parse((ROOT / name).read_text())) if isinstance(n, ast.FunctionDef)]
        long += [
            f"{name}: {f.name}" for f in functions if f.name.startswith("test") and len(f.name) > LONGEST_TEST_NAME
        ]
    assert not long, "\n".join(long)


def test_readme_says_the_same_in_both_languages():
    """The Chinese half has the sections, code, tables, figures and links of the English half, in the same order."""
    halves = (ROOT / "README.md").read_text(encoding="utf-8").split("\n---\n")
    assert len(halves) == 2
    english, chinese = halves

    def count(half: str, pattern: str) -> int:
        return len(re.findall(pattern, half, re.MULTILINE))

    for pattern in (r"^## ", r"^```", r"^\|", r"^- ", r"^!\["):
        assert count(english, pattern) == count(chinese, pattern), pattern
    # figures and names are those of the English half, whatever the sentence around them
    for pattern in (r"(?<![\w.,-])-?\d+\.\d+%?", r"\]\(([^)\s#]+)\)", r"`([\w.*/-]+)`"):
        assert set(re.findall(pattern, english)) == set(re.findall(pattern, chinese)), pattern
