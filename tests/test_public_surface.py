"""What the packages export: it resolves, is documented in full, imports little, and its examples run."""

import dataclasses
import doctest
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

PACKAGES = ("mg_assets", "mg_models", "mg_portfolio", "mg_axes")

# Sections, summary, parameters, returns and yields. Left out: EX01, SA01 and ES01 (examples, see-also and extended
# summaries are there where they help), SS06, PR08, PR09, RT04 and RT05 (capitals and full stops),
# PR04 (types are in the signatures).
DEMANDED = {
    *("GL01", "GL02", "GL03", "GL05", "GL06", "GL07", "GL08", "GL09", "GL10"),
    *("SS01", "SS03", "SS04", "SS05"),
    *("PR01", "PR02", "PR03", "PR05", "PR06", "PR07"),
    *("RT01", "RT03", "YD01"),
}
HEAVY = {
    "mg_assets": {"torch", "dagster", "cvxpy", "matplotlib", "great_expectations"},
    "mg_models": {"torch", "dagster", "cvxpy", "matplotlib"},
    "mg_axes": {"torch", "dagster", "cvxpy", "matplotlib", "polars", "xarray", "numba"},
    "mg_portfolio": {"torch", "dagster", "cvxpy", "matplotlib"},
}


def exported() -> Iterator[str]:
    """Dotted names of everything that a package exports."""
    for package in PACKAGES:
        yield from (f"{package}.{name}" for name in getattr(importlib.import_module(package), "__all__", ()))


EXPORTED = list(exported())


def documented(dotted: str) -> Iterator[tuple[str, object, bool]]:
    """What needs a docstring: a function, or a class and its own public methods; full name, itself, is it a method."""
    package, name = dotted.split(".")
    found = inspect.unwrap(getattr(importlib.import_module(package), name))
    full = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if inspect.isclass(found) and not issubclass(found, BaseException):
        yield full, found, False
        for method, value in vars(found).items():
            if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, classmethod | property)):
                yield f"{full}.{method}", getattr(found, method), True
    elif inspect.isroutine(found):
        yield full, found, False


def faults(full: str, found: object, method: bool) -> Iterator[str]:
    """What numpydoc finds lacking.

    A dataclass may list its fields as attributes. A method's one-line docstring needs no section, as for the linter.
    """
    demanded = set(DEMANDED)
    if inspect.isclass(found) and dataclasses.is_dataclass(found):
        doc = get_doc_object(found)
        described = {name.strip() for p in (*doc["Parameters"], *doc["Attributes"]) for name in p.name.split(",")}
        lacking = {f.name for f in dataclasses.fields(found) if not f.name.startswith("_")} - described
        if lacking:
            yield f"{full}: fields {sorted(lacking)} are not documented"
        demanded -= {"PR01", "PR02"}
    elif method and "\n" not in (inspect.getdoc(found) or ""):
        demanded -= {"PR01", "RT01", "YD01"}
    yield from (f"{full}: {code} {text}" for code, text in validate(full)["errors"] if code in demanded)


@pytest.mark.parametrize("package", PACKAGES)
def test_exports_resolve(package):
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []
    assert set(module.__all__) <= set(dir(module))


def test_no_name_is_exported_for_two_things():
    by_name: dict[str, set[int]] = {}
    for dotted in EXPORTED:
        package, name = dotted.split(".")
        by_name.setdefault(name, set()).add(id(getattr(importlib.import_module(package), name)))
    assert {name for name, things in by_name.items() if len(things) > 1} == set()


@pytest.mark.parametrize("dotted", EXPORTED)
def test_an_export_is_documented_in_full(dotted):
    package, name = dotted.split(".")
    found = getattr(importlib.import_module(package), name)
    if inspect.isclass(found) or inspect.isroutine(found):
        assert inspect.getdoc(found), f"{dotted} has no docstring"
    left = [fault for thing in documented(dotted) for fault in faults(*thing)]
    assert not left, "\n".join(left)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_is_light(package):
    code = f"import sys, {package}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {m.partition(".")[0] for m in loaded} & HEAVY[package] == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_example_of_a_package_runs(package):
    module = importlib.import_module(package)
    tests = doctest.DocTestFinder(recurse=False).find(module, package)
    examples = [test for test in tests if test.examples]
    assert examples, f"the docstring of {package} has no example"
    for test in examples:
        report: list[str] = []
        failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(
            test, out=report.append
        )
        assert not failed.failed, "".join(report)
