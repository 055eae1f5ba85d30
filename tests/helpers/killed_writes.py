"""Writes killed at every boundary: what a lake holds then, and after the same writes once more."""

import os
import signal
import subprocess
import sys
from pathlib import Path

WRITER = """
import os, signal, sys
import numpy as np, pandas as pd, torch
import pyarrow.parquet as pq
from mg_assets.lake import store
from mg_assets.lake.store import Lake
from mg_models import atomic_file, checkpoint

root, version, at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
passed = 0

def boundary(module, name):
    really = getattr(module, name)

    def counted(*given, **named):
        global passed
        passed += 1
        if passed == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return really(*given, **named)

    setattr(module, name, counted)

for module, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (atomic_file, "_flush_folder"), (store, "seal"),
                     (store, "write_parquet"), (pq.ParquetWriter, "write_table"), (pq.ParquetWriter, "close")):
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
    model = checkpoint.TrainedModel(None, "2023H1", seed, {}, {"w": torch.full((9,), float(version))}, {"format": 2})
    checkpoint.save(model, folder)
lake.write("hf_gru_model", "2023H1", pd.DataFrame({"seed": [0, 1], "version": version}))
for table in ("trades", "fused", "hf_gru_model"):
    lake.info(table)
print(passed)
"""


def write(root: Path, version: int, at: int = 0) -> int:
    """Write every file of a version; killed at boundary ``at`` (-9), or the number of boundaries that were passed."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(root), str(version), str(at)], capture_output=True, text=True, check=False
    )
    if done.returncode == -signal.SIGKILL:
        return -signal.SIGKILL
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def left_over(root: Path) -> list[Path]:
    """Temporary files anywhere under a root."""
    return [Path(folder) / n for folder, _, names in os.walk(root) for n in names if n.endswith(".tmp")]


def files(root: Path) -> dict[str, bytes]:
    """Content of every file that is no cache."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*"))
            if p.is_file() and p.name != "_index.json"}  # fmt: skip
