"""What is installed is what is locked, and each part says under which licence it may be used."""

import json
import os
import re
import subprocess
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
STATED = re.compile(
    r"^(?:License-Expression: \S|License: (?!UNKNOWN)\S|License-File: |Classifier: License :: )", re.MULTILINE
)


def locked() -> dict[str, str]:
    """Versions by normalised name."""
    lines = (CHECKOUT / "requirements.lock").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version.split()[0] for name, version in pairs}


def installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} of requirements.lock is not installed: make install")


def head(name: str) -> str:
    """The fields of a package's metadata, without its description."""
    return (installed(name).read_text("METADATA") or "").partition("\n\n")[0]


def test_each_locked_package_states_its_licence():
    lock = locked()
    assert len(lock) > 150
    assert [name for name in lock if not STATED.search(head(name))] == []


@pytest.mark.slow
def test_the_bill_of_materials_holds_the_lock(tmp_path):
    if not (CHECKOUT / "build" / "sbom" / "bin" / "cyclonedx-py").exists():
        pytest.skip("make sbom has not been run: its tool is installed from the network")
    done = subprocess.run(["make", "sbom"], cwd=CHECKOUT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bill = json.loads((CHECKOUT / "dist" / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "mg")
    parts = {re.sub(r"[-_.]+", "-", c["name"]).lower(): c["version"].partition("+")[0] for c in bill["components"]}
    assert locked().items() <= parts.items()
    assert sum("licenses" in c for c in bill["components"]) > 0.95 * len(parts)
