"""What ``mg_assets`` exports: names that exist, documented, imported lazily; the page's example runs."""

import doctest
import subprocess
import sys

import pytest

import mg_assets


def test_the_example_of_the_page_runs():
    failed, attempted = doctest.testmod(mg_assets)
    assert attempted > 10
    assert failed == 0


@pytest.mark.parametrize("name", mg_assets.__all__)
def test_every_export_exists_and_is_documented(name):
    assert getattr(mg_assets, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lakes'"):
        _ = mg_assets.lakes


def test_importing_the_package_loads_no_library():
    heavy = ("dagster", "numba", "pandas", "torch", "cvxpy")
    code = f"import sys, mg_assets; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_lake_and_the_factors_need_no_dagster():
    code = "import sys; from mg_assets import Lake, explain, replay_day, what_if; print('dagster' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_graph_is_imported_without_what_only_runs_need():
    """Each server, each run and most commands import it."""
    heavy = ("torch", "cvxpy", "matplotlib", "scipy.stats")
    code = f"import sys, mg_assets.definitions; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
