"""Changes of Python source that a test should notice: one operator, constant, condition or statement at a time."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
    "floor": "ceil", "ceil": "floor", "argmin": "argmax", "argmax": "argmin", "nanmax": "nanmin", "nanmin": "nanmax",
}  # fmt: skip
"""Functions and methods that are exchanged."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes
    ----------
    path : str
        From the root of the checkout.
    line : int
    start, end : int
        Bytes of the file that are replaced.
    before, after : str
    """

    path: str
    line: int
    start: int
    end: int
    before: str
    after: str

    def source(self, content: bytes) -> bytes:
        """The file with the change."""
        return content[: self.start] + self.after.encode() + content[self.end :]


def mutations(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What each operator makes of a node: the part that is replaced, and its replacement."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield node, ast.unparse(ast.Compare(node.left, [other()], node.comparators))
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield node, f"({ast.unparse(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))})"
    elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield node, ast.unparse(ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value))
        yield node, "pass"
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, f"({ast.unparse(ast.BoolOp(other, node.values))})"
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield node, ast.unparse(node.operand)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield node.test, f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.Constant):
        yield from ((node, text) for text in _constants(node.value))
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield node.value, "None"
    elif isinstance(node, (ast.Raise, ast.Continue, ast.Break)):
        yield node, "pass"
    elif isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Yield)):
        yield node, "pass"
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Subscript, ast.Attribute)):
        yield node, "pass"
    elif isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Name) and called.id in NAMES:
            yield called, NAMES[called.id]
        if isinstance(called, ast.Attribute) and called.attr in NAMES:
            yield called, ast.unparse(ast.Attribute(called.value, NAMES[called.attr]))


def _constants(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield str(not value)
    elif isinstance(value, int):
        yield from (str(value + 1), f"({value - 1})")
    elif isinstance(value, float):
        yield repr(2.0 * value if value else 1.0)
    elif value in ("left", "right"):
        yield '"right"' if value == "left" else '"left"'


def mutants(path: str, content: bytes) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines.

    Annotations, decorators, what is raised and the texts of the file are left alone.
    """
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node in _executed(ast.parse(content)):
        for part, after in mutations(node):
            start = starts[part.lineno - 1] + part.col_offset
            end = starts[part.end_lineno - 1] + part.end_col_offset
            found.append(Mutant(path, part.lineno, start, end, content[start:end].decode(), after))
    return sorted(found, key=lambda m: (m.start, m.end, m.after))


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, (ast.Raise, ast.JoinedStr, ast.ImportFrom, ast.Import)):
        return
    left_out = {"annotation", "returns", "decorator_list", "type_params"}
    for name, value in ast.iter_fields(node):
        if name not in left_out:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _executed(child)
