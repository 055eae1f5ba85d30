"""The project's own coinages are gone: the field has words for them (docs/glossary.md)."""

import re
import subprocess
from pathlib import Path

import pytest
from pages import without_old_names

ROOT = Path(__file__).parents[1]
PAGES = ("*.py", "*.md", "*.html", "*.yaml", "*.toml", "Makefile")

# The coined word as a pattern, and the field's words for it. A word ends at an underscore too, so that names count.
COINED = {
    r"judg(e|ed|es|ing|ements?)": "evaluate, evaluation",
    r"(?:findings|(?-i:Finding)|_finding)": "evaluation result, violations, differences",
    r"(?:told|telling|tells?)": "report, record, log, call back",
    r"untold": "missing, not reported",
    r"reckon(s|ed|ing|ings)?": "compute, recompute",
    r"anew": "again; rebuild, retrain, recompute",
    r"clash(es|ed|ing)?": "irreducible infeasible subset, conflict",
    r"desks?": "execution model",
    r"mend(s|ed|ing)?": "fix",
    r"(?:bear|bears|borne)": "carry, confirm; orders that share a number",
    r"shel(f|ves)": "shared arrays",
    r"ledgers?": "exclusions",
    r"doctors?": "infeasibility report",
    r"(?:rehearsals?|rehearse[ds]?)": "warm-up, JIT cache",
    r"verdicts?": "check result",
    r"was[ _]there": "available, point in time",
    r"KnownLake": "AsOfLake",
    r"what followed": "forward returns",
    r"fans?": "sensitivity to the rebalancing weekday",
    r"whole or not at all": "atomic",
    r"by lot": "at random",
    r"cur(e|es|ed|ing)": "relaxation, remedy",
    r"born": "start time",
    r"believe[ds]?": "trust, verify",
    r"at the door": "validation",
    r"stand(?:s|ing)? (?:together|where|in (?=[`\"*])|under [`\"*])": "is contiguous; is stored in, is listed under",
}

# Words that are coined only in some folders: an outcome of a check is one, forward returns are none.
COINED_IN = {
    r"outcomes?": (
        ("mg_portfolio/", "tests/mg_portfolio/", "docs/evaluation.md", "docs/studies.md"),
        "forward returns",
    ),
}

# What may use such a word: a pattern of the text around it, and why.
ALLOWED = {
    r"(?:tells?|told) (?:\w+ ){0,8}(?:apart|from)\b": "ordinary English: to distinguish",
    r"(?:bear|bull) market": "the field's term",
    r'"told\.?"': "the name of a layer in stored checkpoints, which stay readable",
}


def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z]){word}(?![a-z])", re.IGNORECASE)


def _tracked() -> list[Path]:
    """Text files under version control, but for this one, which names the words."""
    listed = subprocess.run(["git", "ls-files", *PAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\n") if name and ROOT / name != Path(__file__)]


def hits(text: str, name: str = "") -> list[tuple[int, str, str]]:
    """Line, text and better words of every coined word in the file ``name``."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not ANY.search(line):
            continue
        allowed = [m.span() for pattern in ALLOWED for m in re.finditer(pattern, line, re.IGNORECASE)]
        for word, folders, better in PATTERNS:
            if not name.startswith(folders):
                continue
            for m in word.finditer(line):
                if not any(a <= m.start() and m.end() <= b for a, b in allowed):
                    found.append((number, m.group(), better))
    return found


PATTERNS = [(_pattern(word), ("",), better) for word, better in COINED.items()]
PATTERNS += [(_pattern(word), folders, better) for word, (folders, better) in COINED_IN.items()]
ANY = _pattern(f"(?:{'|'.join((*COINED, *COINED_IN))})")


def test_no_coined_word_is_left():
    left = [
        f"{path.relative_to(ROOT)}:{number}: {word!r}, better: {better}"
        for path in _tracked()
        if path.is_file()
        for number, word, better in hits(
            without_old_names(path.read_text(encoding="utf-8")), path.relative_to(ROOT).as_posix()
        )
    ]
    assert not left, "\n".join(left)


@pytest.mark.parametrize(
    "text",
    [
        "def _tell(self):",
        "Findings",
        "judged",
        "the clash of",
        "made anew",
        "KnownLake",
        "fan_of",
        "rows stand together",
    ],
)
def test_a_coined_word_is_found(text):
    assert hits(text)


@pytest.mark.parametrize("text", ["recommended", "standard", "fanout", "intellect", "which no stock tells apart"])
def test_an_ordinary_word_is_not_found(text):
    assert not hits(text)
