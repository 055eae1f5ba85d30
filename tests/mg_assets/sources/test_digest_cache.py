"""The cache of digests: right whatever happens to it, and shared by threads and processes."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xxhash

from mg_assets.sources import digest_cache, fingerprint
from mg_assets.sources.digest_cache import DigestCache, FileState


@pytest.fixture
def cache(tmp_path, monkeypatch):
    made = DigestCache(tmp_path / "cache")
    monkeypatch.setattr(digest_cache, "CACHE", made)
    yield made
    made.close()


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{i}.csv" for i in range(20)]
    for path in paths:
        path.write_text(f"content of {path.name}")
        os.utime(path, (1e9, 1e9))
    return paths


def expected(paths):
    return [xxhash.xxh3_128_hexdigest(p.read_bytes()) for p in paths]


def reads(monkeypatch) -> list[Path]:
    """The files that are read from now on."""
    seen, digest = [], fingerprint._digest
    monkeypatch.setattr(fingerprint, "_digest", lambda path: seen.append(path) or digest(path))
    return seen


def test_a_file_changed_just_now_is_read_again(files, cache, monkeypatch):
    """Within the resolution of the clock it may change again without showing it."""
    read = reads(monkeypatch)
    for _ in range(2):
        assert fingerprint.file_digests(files) == expected(files)
    assert len(read) == 2 * len(files)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 2 * fingerprint.CLOCK_RESOLUTION)
    for _ in range(2):
        assert fingerprint.file_digests(files) == expected(files)
    assert len(read) == 3 * len(files)


def test_a_file_that_changes_while_it_is_read_is_not_kept(files, cache, monkeypatch):
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    digest = fingerprint._digest

    def grow(path):
        before = digest(path)
        path.write_text("content that came meanwhile")
        return before

    time.sleep(0.02)
    monkeypatch.setattr(fingerprint, "_digest", grow)
    fingerprint.file_digests(files[:1])
    monkeypatch.setattr(fingerprint, "_digest", digest)
    assert fingerprint.file_digests(files[:1]) == expected(files[:1])


def overwritten(path):
    path.write_bytes(b"no database" * 1000)


def truncated(path):
    path.write_bytes(path.read_bytes()[:5000])


def empty(path):
    path.write_bytes(b"")


def other_digests(path):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE files SET digest = printf('%032d', 0)")
        database.execute("UPDATE texts SET text = '{}'")
    database.close()


def without_tables(path):
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE files")
        database.execute("DROP TABLE texts")
    database.close()


def other_types(path):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE files SET digest = 7, seal = NULL")
        database.execute("UPDATE texts SET text = x'ff', seal = 1")
    database.close()


DAMAGES = [overwritten, truncated, empty, other_digests, without_tables, other_types]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_a_damaged_cache_is_only_slow(files, cache, monkeypatch, damage):
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    right = fingerprint.file_digests(files)
    cache.keep_text("key", "text")
    cache.close()
    damage(cache.path)
    read = reads(monkeypatch)
    assert cache.text("key") is None
    for _ in range(2):
        assert fingerprint.file_digests(files) == right
    assert len(read) == len(files)
    cache.keep_text("key", "text")
    assert cache.text("key") == "text"


def test_flipped_bytes_give_no_wrong_answer(files, cache, monkeypatch):
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    right = fingerprint.file_digests(files)
    cache.close()
    whole = cache.path.read_bytes()
    rng = np.random.default_rng(2)
    for at in rng.choice(len(whole), 60, replace=False):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        cache.path.write_bytes(damaged)
        assert fingerprint.file_digests(files) == right
        cache.close()


def test_without_a_folder_this_process_keeps_them(files, tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    (tmp_path / "taken").write_text("a file where the folder would be")
    cache = DigestCache(tmp_path / "taken" / "cache")
    monkeypatch.setattr(digest_cache, "CACHE", cache)
    read = reads(monkeypatch)
    for _ in range(2):
        assert fingerprint.file_digests(files) == expected(files)
    assert len(read) == len(files)
    cache.close()


def test_a_locked_cache_is_only_slow(files, cache, monkeypatch):
    monkeypatch.setattr(digest_cache, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    right = fingerprint.file_digests(files)
    cache.close()
    other = sqlite3.connect(cache.path)
    other.execute("BEGIN EXCLUSIVE")
    assert fingerprint.file_digests(files) == right
    other.close()
    assert cache.path.exists()


def test_names_that_are_no_text_are_kept(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    path = tmp_path / os.fsdecode(b"\xff\xfe.csv")
    path.write_text("rows")
    time.sleep(0.02)
    assert fingerprint.file_digests([path]) == expected([path])
    assert cache.digests([FileState.of(path)]) == expected([path])


MANY_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from mg_assets.sources import digest_cache, fingerprint

digest_cache.CACHE = digest_cache.DigestCache(Path(sys.argv[1]))
fingerprint.CLOCK_RESOLUTION = 0.0
paths = [Path(p) for p in sys.argv[2:]]
with ThreadPoolExecutor(8) as pool:
    for digests in pool.map(lambda _: fingerprint.file_digests(paths), range(16)):
        print(*digests)
"""


def test_threads_and_processes_share_it(files, tmp_path):
    command = [sys.executable, "-c", MANY_THREADS, tmp_path / "shared", *files]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        assert process.communicate()[0].splitlines() == [" ".join(expected(files))] * 16
    cache = DigestCache(tmp_path / "shared")
    assert cache.digests([FileState.of(f) for f in files]) == expected(files)
    cache.close()


def test_of_texts_the_newest_stay(cache):
    for i in range(digest_cache.TEXTS_KEPT + 5):
        cache.keep_text(str(i), f"text {i}")
    assert cache.text("4") is None
    assert cache.text("5") == "text 5"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_opens_it_again(files, cache, monkeypatch):
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    right = fingerprint.file_digests(files)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(fingerprint.file_digests, (files,)) == right
        pool.close()  # a process that ignores SIGTERM would outlive the end of the block
        pool.join()
    assert fingerprint.file_digests(files) == right
