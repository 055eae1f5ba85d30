"""Shared fixtures."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data (MG_SHARED_DATA, else ../shared/data beside the checkout)."""
    folder = Path(os.environ.get("MG_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real market data absent: {folder} (set MG_SHARED_DATA)")
    return folder
