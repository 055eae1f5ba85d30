"""The version of the compiled kernels' sources.

numba caches machine code by the one file that holds a function, and so keeps serving it after a file that it calls into
has changed. Here only entry points are cached, and each closes over this hash of all the kernel files, which is part of
numba's cache key: a changed kernel is compiled anew.
"""

import zlib
from pathlib import Path

FILES = ("book.py", "auction.py", "generator.py", "informed.py", "path.py", "tape.py", "flow.py", "calls.py",
         "stock_day.py", "intraday.py")  # fmt: skip


def sources_version() -> int:
    """CRC-32 of the kernel files, line endings aside."""
    folder = Path(__file__).parent
    text = b"\0".join((folder / name).read_bytes().replace(b"\r\n", b"\n") for name in FILES)
    return zlib.crc32(text)
