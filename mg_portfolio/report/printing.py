"""Pages as PDF, printed by a headless Chromium where there is one."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 120
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer")


@cache
def browser() -> str | None:
    """Path of a Chromium, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def print_pages(pages: Mapping[str, bytes]) -> dict[str, bytes]:
    """Print self-contained HTML pages on A4.

    Parameters
    ----------
    pages : mapping of str to bytes
        HTML by name.

    Returns
    -------
    dict of str to bytes
        PDF by the same names; without those that could not be printed, and empty without a Chromium.
    """
    program = browser()
    out: dict[str, bytes] = {}
    if program is None:
        return out
    with tempfile.TemporaryDirectory() as folder:
        for name, body in pages.items():
            page, pdf = Path(folder) / f"{name}.html", Path(folder) / f"{name}.pdf"
            page.write_bytes(body)
            command = [program, *_OPTIONS, f"--user-data-dir={folder}/profile", f"--print-to-pdf={pdf}", page.as_uri()]
            try:
                subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
            except (OSError, subprocess.SubprocessError):
                continue
            if pdf.exists():
                out[name] = pdf.read_bytes()
    return out
