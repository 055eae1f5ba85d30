"""Writes killed at every boundary: each partition is the old or the new one, and the next run leaves no trace."""

import shutil
from itertools import count

import pytest
from killed_writes import files, left_over, writer

from mg_assets.lake.store import Lake
from mg_assets.lake.verify import verify_partition

STATES = {"trades": ["2023-02-01"], "fused": ["2023-02-01", "2023-02-02"], "hf_gru_model": ["2023H1"]}


def digests(lake: Lake) -> dict:
    return {(t, k): i.digest for t in STATES for k, i in lake.info(t).items()}


@pytest.fixture(scope="module")
def write():
    with writer() as process:
        yield process.write


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_a_boundary_leaves_old_or_new(write, tmp_path, step):
    write(tmp_path / "old", 1)
    write(tmp_path / "new", 2)
    old, new, left = digests(Lake(tmp_path / "old")), digests(Lake(tmp_path / "new")), 0
    for at in count(1, step):
        root = tmp_path / f"killed{at}"
        shutil.copytree(tmp_path / "old", root)
        if write(root, 2, at):
            break
        lake = Lake(root)
        for part, digest in digests(lake).items():
            whole = digest is not None and not verify_partition(lake, *part).damages
            assert digest in (old[part], new[part]) if whole else part[0] == "hf_gru_model", (at, part)
        left += bool(left_over(root))
        write(root, 2)
        assert left_over(root) == []
        assert files(root) == files(tmp_path / "new"), at
        shutil.rmtree(root)
    assert at > 40
    assert left > 10 / step  # many a kill leaves a file that the next run removes
