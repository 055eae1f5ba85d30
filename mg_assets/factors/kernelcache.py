"""Keeps compiled kernels in step with all of the package's sources.

numba ties a compiled kernel to the file that it stands in, not to the files of the functions and
constants that it takes in: after an edit of ``moments.py`` alone the kernels of ``minute.py`` would
be loaded as they were. So the cache is emptied whenever any source of the folder has changed.
"""

import hashlib
from pathlib import Path

STAMP = "kernels.stamp"


def drop_stale_kernels(folder: Path) -> bool:
    """Delete the folder's compiled kernels unless they were made from its present sources.

    Returns whether the cache was emptied. In a folder that cannot be written nothing is done: its
    sources do not change either. Kernels that ``NUMBA_CACHE_DIR`` sends elsewhere are not looked for.
    """
    cache = folder / "__pycache__"
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    stamp = digest.hexdigest()
    place = cache / STAMP
    try:
        if place.read_text() == stamp:
            return False
    except FileNotFoundError:
        pass
    try:
        cache.mkdir(exist_ok=True)
        for kernel in (*cache.glob("*.nbi"), *cache.glob("*.nbc")):
            kernel.unlink(missing_ok=True)
        place.write_text(stamp)
    except OSError:  # a read-only installation
        return False
    return True
