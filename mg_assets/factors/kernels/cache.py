"""Keeps compiled kernels in step with all of the package's sources.

numba ties a compiled kernel to its own file, not to the files of the functions and constants that it takes in:
after an edit of ``moments.py`` alone the kernels of ``minute.py`` would be loaded as they were. So the cache is
emptied whenever a source of the folder or of a folder below it has changed.
"""

import hashlib
from pathlib import Path

STAMP = "kernels.stamp"


def drop_stale_kernels(folder: Path) -> bool:
    """Delete the compiled kernels of a folder and those below it, unless they are of its present sources.

    Returns whether the cache was emptied. In a folder that cannot be written nothing is done: its
    sources do not change either. Kernels that ``NUMBA_CACHE_DIR`` sends elsewhere are not looked for.
    """
    cache = folder / "__pycache__"
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(folder.rglob("*.py")):
        digest.update(str(source.relative_to(folder)).encode() + b"\0" + source.read_bytes())
    stamp = digest.hexdigest()
    place = cache / STAMP
    try:
        if place.read_text() == stamp:
            return False
    except FileNotFoundError:
        pass
    try:
        cache.mkdir(exist_ok=True)
        for kernel in (*folder.rglob("*.nbi"), *folder.rglob("*.nbc")):
            kernel.unlink(missing_ok=True)
        place.write_text(stamp)
    except OSError:  # a read-only installation
        return False
    return True
