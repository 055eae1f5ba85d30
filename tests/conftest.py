"""Shared fixtures."""

import os
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one worker, and all tests of the built graph in one: it is built once."""
    for item in items:
        group = "graph" if "built" in getattr(item, "fixturenames", ()) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data (MG_SHARED_DATA, else ../shared/data beside the checkout)."""
    place = Path(os.environ.get("MG_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not place.is_dir():
        pytest.skip(f"real market data absent: {place} (set MG_SHARED_DATA)")
    return place
