"""Short hashes of what a source's tables depend on: settings, and the size and time of files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path


def file_stamps(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Name, size and modification time of files: changes when a file does."""
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


def fingerprint_of(*parts: object) -> str:
    """A short hash of settings and file stamps."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
