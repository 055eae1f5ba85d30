"""Shared fixtures."""

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from mg_assets.sources import digest_cache
from mg_assets.sources.digest_cache import DigestCache


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--write-golden`` (``make golden``) takes the content of the small market for the expected one."""
    parser.addoption("--write-golden", action="store_true")


def pytest_configure(config: pytest.Config) -> None:
    """Tests without settings of their own see the demo's graph over eleven years, before any asset is imported."""
    if "MG_SETTINGS" not in os.environ:
        demo = yaml.safe_load((Path(__file__).parents[1] / "deploy" / "demo.yaml").read_text())
        folder = tempfile.TemporaryDirectory(prefix="mg-tests-")
        config.add_cleanup(folder.cleanup)
        file = Path(folder.name) / "settings.yaml"
        file.write_text(yaml.safe_dump(demo | {"first_day": "2013-01-04", "end_date": "2023-12-29"}))
        os.environ["MG_SETTINGS"] = str(file)


BUILDS = "test_graph.py"
"""The file that builds the graph of the fixture ``built``, while another process runs what does not wait for it."""
LONG = ("test_certificates.py", "test_panels.py", "test_monitor.py", "test_learning.py", "test_retrain.py",
        "test_bad_day.py", "test_small.py")  # fmt: skip
"""Files that last more than half a minute, few tests as they have: begun last, one process would wait for them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which ``--dist loadfile`` gives the files to the test processes."""
    tests = Counter(item.path for item in items)
    waits = {item.path for item in items if "built" in getattr(item, "fixturenames", ())}

    def place(item: pytest.Item) -> tuple[bool, bool, bool, int]:
        path = item.path
        return path.name != BUILDS, path in waits, path.name not in LONG, -tests[path]

    items.sort(key=place)


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
