"""numba's cache of a kernel is stamped by the kernel's file alone: nothing of another file may be compiled into it."""

import ast
from pathlib import Path

import pytest

import mg_portfolio

FOLDER = Path(mg_portfolio.__file__).parent
FILES = [path for path in sorted(FOLDER.rglob("*.py")) if "@njit" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(FOLDER).as_posix())
def test_a_kernel_uses_nothing_of_another_file(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ours = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("mg_")]
    imported = {alias.asname or alias.name for node in ours for alias in node.names}
    kernels = [
        f
        for f in tree.body
        if isinstance(f, ast.FunctionDef) and any("njit" in ast.unparse(d) for d in f.decorator_list)
    ]
    assert kernels
    for kernel in kernels:
        names = {node.id for node in ast.walk(kernel) if isinstance(node, ast.Name)}
        assert not names & imported, f"{path.name}: {kernel.name} takes {sorted(names & imported)} from another file"
