"""Freed memory is kept: a batch's arrays cost page faults once, not each time."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from mg_models.training.allocator import reuse_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        arrays = [np.ones(5_000_000, np.float32) for _ in range(4)]  # 20 MB each
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
usual = faults()
assert reuse_freed_memory()
faults()
print(usual, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="thresholds of glibc's malloc")
def test_a_second_batch_takes_the_first_ones_memory():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    usual, kept = (int(n) for n in done.stdout.split())
    assert kept < 0.1 * usual
