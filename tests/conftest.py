"""Shared fixtures."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data (MG_SHARED_DATA, else ../shared/data beside the checkout)."""
    place = Path(os.environ.get("MG_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not place.is_dir():
        pytest.skip(f"real market data absent: {place} (set MG_SHARED_DATA)")
    return place
