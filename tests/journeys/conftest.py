"""What a newcomer does: ingest a folder, then run the very command that this prints, and look at what it made."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mg_assets.lake.store import Lake

CHECKOUT = Path(__file__).parents[2]
PRINTED = re.compile(r"continue with: (.+)$", re.MULTILINE)


@dataclass
class Journey:
    """A folder of files, the lake beside it, and the output of each command."""

    folder: Path
    lake_folder: Path
    home: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.lake_folder)

    def ingest(self, *more: str, code: int = 0) -> str:
        """``mg ingest``; what it prints."""
        return self.mg(f"mg ingest '{self.folder}' --lake '{self.lake_folder}'", *more, code=code)

    def follow(self, printed: str, code: int = 0) -> str:
        """The command that ``mg ingest`` printed."""
        found = PRINTED.search(printed)
        assert found, printed
        return self.mg(found[1], code=code)

    def mg(self, command: str, *more: str, code: int = 0) -> str:
        """A command as printed, with its variables; what it prints."""
        variables, words = _parts(command, *more)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
        done = subprocess.run(
            [sys.executable, "-m", "mg_assets.cli.main", *words],
            env=kept | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(self.home)} | variables,
            cwd=CHECKOUT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr


def _parts(command: str, *more: str) -> tuple[dict[str, str], list[str]]:
    """A printed command's variables, and what follows ``mg``."""
    words = [*shlex.split(command), *more]
    at = next(i for i, word in enumerate(words) if Path(word).name == "mg")
    return dict(w.split("=", 1) for w in words[:at]), words[at + 1 :]


@pytest.fixture
def journey(tmp_path) -> Journey:
    return Journey(tmp_path / "files", tmp_path / "lake", tmp_path / "cache")
