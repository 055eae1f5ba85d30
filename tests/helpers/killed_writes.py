"""Writes killed at every boundary: what a lake holds then, and after the same writes once more."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WRITER = """
import json, os, signal, sys
import numpy as np, pandas as pd, torch
import pyarrow.parquet as pq
from mg_assets.lake import store
from mg_assets.lake.store import Lake
from mg_models import atomic_file, checkpoint


def written(root, version, at):
    passed = 0

    def boundary(module, name):
        really = getattr(module, name)

        def counted(*given, **named):
            nonlocal passed
            passed += 1
            if passed == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return really(*given, **named)

        setattr(module, name, counted)

    for module, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (atomic_file, "_flush_folder"),
                         (store, "seal"), (store, "write_parquet"), (pq.ParquetWriter, "write_table"),
                         (pq.ParquetWriter, "close")):
        boundary(module, name)

    lake, rng = Lake(root), np.random.default_rng(version)
    lake.remove_abandoned()
    n = 1200
    lake.write("trades", "2023-02-01", pd.DataFrame({
        "symbol": np.repeat([f"{600000 + i}.SH" for i in range(4)], n // 4), "time": pd.Timestamp("2023-02-01 09:30"),
        "seq": np.tile(np.arange(n // 4), 4), "price": rng.integers(900, 1100, n) / 100, "volume": 100,
        "buy_order": rng.integers(1, 9, n), "sell_order": rng.integers(1, 9, n), "side": 1}))
    scores = pd.DataFrame({"symbol": [f"{600000 + i}.SH" for i in range(50)], "score": rng.standard_normal(50)})
    for day in ("2023-02-01", "2023-02-02"):
        lake.write("fused", day, scores)
    lake.record_check_failures("fused", "2023-02-02", ["predictions_finite"] if version % 2 else [])
    folder = lake.folder("hf_gru_model", "2023H1")
    for seed in (0, 1):
        model = checkpoint.TrainedModel(
            None, "2023H1", seed, {}, {"w": torch.full((9,), float(version))}, {"format": 2})
        checkpoint.save(model, folder)
    lake.write("hf_gru_model", "2023H1", pd.DataFrame({"seed": [0, 1], "version": version}))
    for table in ("trades", "fused", "hf_gru_model"):
        lake.info(table)


print("ready", flush=True)
for line in sys.stdin:  # each write in a process of its own, which has everything imported
    child = os.fork()
    if child == 0:
        try:
            written(*json.loads(line))
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Writer:
    """A process that writes every file of a version, and dies where it is asked to."""

    def __init__(self, process: subprocess.Popen):
        self._process = process
        self._answer("ready")

    def write(self, root: Path, version: int, at: int = 0) -> bool:
        """Write every file of a version, killed at boundary ``at``; whether it came to its end."""
        print(json.dumps([str(root), version, at]), file=self._process.stdin, flush=True)
        return self._answer("0", str(-signal.SIGKILL)) == "0"

    def _answer(self, *expected: str) -> str:
        answer = self._process.stdout.readline().strip()
        assert answer in expected, f"the writer ended with {answer!r}"
        return answer


@contextmanager
def writer() -> Iterator[Writer]:
    """A process that writes."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Writer(process)
        process.stdin.close()


def left_over(root: Path) -> list[Path]:
    """Temporary files anywhere under a root."""
    return [Path(folder) / n for folder, _, names in os.walk(root) for n in names if n.endswith(".tmp")]


def files(root: Path) -> dict[str, bytes]:
    """Content of every file that is no cache."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*"))
            if p.is_file() and p.name != "_index.json"}  # fmt: skip
