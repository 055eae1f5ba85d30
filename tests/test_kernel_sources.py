"""Compiled kernels follow every file that they take code or constants from.

numba's cache on disk is stamped by one file; :func:`mg_models.kernel_cache.cached_njit` adds the files it is given.
Here each kernel of the packages is traced through the names that it uses, directly or through constants of its module.
"""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path
    for package in ("mg_assets", "mg_models", "mg_portfolio")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "njit" in path.read_text(encoding="utf-8") or "@kernel" in path.read_text(encoding="utf-8")
]


def module_file(name):
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def decorators(node):
    return [ast.unparse(d) for d in node.decorator_list] if isinstance(node, ast.FunctionDef) else []


def is_kernel(node):
    return any(d.startswith(("njit", "kernel", "cached_njit", "numba.njit")) for d in decorators(node))


def names_in(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def taken_from(path, seen=None):
    """Files of ours that the kernels of ``path`` take code or constants from, and those of these in turn."""
    seen = set() if seen is None else seen
    seen.add(path)
    body = ast.parse(path.read_text(encoding="utf-8")).body
    imported, derived = {}, {}
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mg_"):
            for alias in node.names:
                inner = module_file(f"{node.module}.{alias.name}")
                imported[alias.asname or alias.name] = inner if inner.exists() else module_file(node.module)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            derived |= {n: names_in(node.value) for t in targets for n in names_in(t)}
        elif isinstance(node, ast.FunctionDef) and not is_kernel(node):
            derived[node.name] = names_in(node)  # factories of kernels, constants made by a function
    wanted = set().union(*(names_in(n) for n in body if is_kernel(n)), set())
    reached = set()
    while wanted:
        name = wanted.pop()
        if name not in reached:
            reached.add(name)
            wanted |= derived.get(name, set())
    for file in {imported[n] for n in reached & imported.keys()} - seen:
        taken_from(file, seen)
    return seen


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_cached_kernel_is_keyed_by_all_its_files(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    cached = [n for n in body if any(d.startswith("kernel") or "cache=True" in d for d in decorators(n))]
    if not cached:
        return  # compiled into the callers' code: their files are traced
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    keyed = {
        path,
        *(module.kernel.sources if any(d.startswith("kernel") for n in cached for d in decorators(n)) else ()),
    }
    cache_module = ROOT / "mg_models" / "kernel_cache.py"  # makes the key itself
    lacking = taken_from(path) - keyed - {cache_module}
    assert not lacking, f"{path.name}: not in the key of its cache: {sorted(map(str, lacking))}"


@pytest.mark.parametrize("path", [f for f in FILES if "mg_models" not in f.parts], ids=lambda p: p.stem)
def test_no_kernel_sums_in_an_order_of_its_own(path):
    """fastmath lets the compiler choose, and it chose otherwise in the process that fills numba's cache than after it.

    Networks are left to it: their values are held to tolerances.
    """
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    assert not [n.lineno for n in nodes if isinstance(n, ast.keyword) and n.arg == "fastmath"]
