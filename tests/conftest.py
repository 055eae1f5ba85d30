"""Shared fixtures."""

import os
from pathlib import Path

import pytest

from mg_assets.sources import digest_cache
from mg_assets.sources.digest_cache import DigestCache


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--write-golden`` (``make golden``) takes the content of the small market for the expected one."""
    parser.addoption("--write-golden", action="store_true")


@pytest.fixture(scope="session", autouse=True)
def digests_of_source_files(tmp_path_factory):
    """A cache of this run's own instead of the user's."""
    digest_cache.CACHE = DigestCache(tmp_path_factory.mktemp("cache"))
    yield
    digest_cache.CACHE.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data (MG_SHARED_DATA, else ../shared/data beside the checkout)."""
    folder = Path(os.environ.get("MG_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real market data absent: {folder} (set MG_SHARED_DATA)")
    return folder
