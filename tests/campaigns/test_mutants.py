"""The campaign of mutants: what is changed, and that each change is one of the text alone."""

import ast
import runpy
from pathlib import Path

from source_mutants import Mutant, mutants

CAMPAIGN = runpy.run_path(str(Path(__file__).with_name("mutants.py")))
AREAS, ROOT, draw, table = (CAMPAIGN[name] for name in ("AREAS", "ROOT", "draw", "table"))

SOURCE = b'''
LIMIT: float = 0.5
def f(x: int = 3) -> int:
    """Text."""
    if x >= 2 and not flat(x):
        raise ValueError(f"x was {x + 1}")
    total = max(x - 1, 0)
    total += 1
    out["a"] = np.searchsorted(x, 1, side="left")
    return total / 2 if x else None
'''


def found(start: str) -> list[str]:
    every = mutants("f.py", SOURCE)
    return sorted(m.after for m in every if m.before == start)


def test_operators():
    assert found("x >= 2") == ["x < 2", "x > 2"]
    assert found("x >= 2 and not flat(x)") == ["(not (x >= 2 and (not flat(x))))", "(x >= 2 or not flat(x))"]
    assert found("not flat(x)") == ["flat(x)"]
    assert found("x - 1") == ["(x + 1)"]
    assert found("total / 2") == ["(total * 2)"]
    assert found("max") == ["min"]
    assert found("2") == ["(1)", "(1)", "3", "3"]
    assert found("0.5") == ["1.0"]
    assert found("total += 1") == ["pass", "total -= 1"]
    assert found('"left"') == ['"right"']
    assert found('out["a"] = np.searchsorted(x, 1, side="left")') == ["pass"]
    assert found('raise ValueError(f"x was {x + 1}")') == ["pass"]
    assert found("total / 2 if x else None") == ["None"]
    assert found("x + 1") == []  # the text of an error
    assert found("int") == found("float") == []


def test_every_mutant_is_valid_and_different():
    drawn = [m for _, m in draw(["splits", "losses"], 40, seed=0)]
    assert len(drawn) == 40
    for mutant in drawn:
        content = (ROOT / mutant.path).read_bytes()
        assert content[mutant.start : mutant.end].decode() == mutant.before
        assert ast.dump(ast.parse(mutant.source(content))) != ast.dump(ast.parse(content))


def test_files_of_the_areas_exist():
    named = [path.split("::")[0] for modules, tests in AREAS.values() for path in (*modules, *tests)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_draw_is_repeatable_and_the_table_adds_up():
    assert draw(["splits", "labels"], 10, 1) == draw(["splits", "labels"], 10, 1) != draw(["splits", "labels"], 10, 2)
    line = {"area": "splits", "path": "a.py", "line": 3, "before": "x <  y", "after": "x <= y"}
    shown = table([line | {"survived": True}, line | {"survived": False}]).splitlines()
    assert shown[2:4] == ["| splits | 2 | 1 | 1 |", "| all | 2 | 1 | 1 |"]
    assert shown[-1] == "a.py:3: x < y  ->  x <= y"
    assert Mutant("a.py", 1, 4, 5, "<", "<=").source(b"if x<y") == b"if x<=y"
