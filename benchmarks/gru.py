"""Training samples per core-second of the GRU beside pyqlib's, and the memory that training takes.

    python benchmarks/gru.py --qlib-python /path/to/its/python [--stocks 1000] [--days 500] [--repeat 3]
        [--page docs/performance.md]
    python benchmarks/gru.py --device cuda

One panel (27 features, windows of 40 days, one GRU layer of 30 units, batches of 5,000 samples, one thread) and three
contestants:

- ``qlib``: ``pytorch_gru_ts`` through ``TSDatasetH`` and ``TSDataSampler``, its own ``train_epoch``, mean squared error
  (benchmarks/peers/gru_qlib.py, in an environment with pyqlib; make one with ``pip install pyqlib torch``);
- ``torch``: the catalog's ``hf_gru``, whole days of 1,000 stocks from the resident panel, torch's GRU layer;
- ``fused``: the same with the fused step (mg_models/networks/fused_gru.py), the default on a CPU.

Each run is a process of its own, which first trains on a tiny panel (imports and kernel compilation are not in the
figures); contestants take turns, a figure is the median of its runs. A batch's assembly, loss, gradient clipping and
Adam are in it. Memory is the peak beyond what the process held before it loaded the panel, less the panel's bytes.

With ``--device`` the catalog's ``hf_gru`` trains there alone, and the figure is samples per second of wall time.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from peers.gru_memory import cpu, memory, restart_peak
from peers.report import machine, put
from torch import nn

from mg_models.catalog import CATALOG, override
from mg_models.data.dataset import Dataset, step_features
from mg_models.data.panel import Panel
from mg_models.networks import build_network, fused_gru
from mg_models.training.allocator import reuse_freed_memory
from mg_models.training.losses import batch_loss

HERE = Path(__file__).parent
FEATURES, STEPS, HIDDEN, BATCH = 27, 40, 30, 5000
NAMES = {"qlib": "pyqlib, GRU time-series model", "torch": "`hf_gru`, torch's layer", "fused": "`hf_gru`, fused step"}
GOALS = {"torch": 1.3, "fused": 5.0}


def panel_of(values: np.ndarray) -> Panel:
    days = np.arange("2013-01-04", np.datetime64("2013-01-04") + len(values), dtype="datetime64[D]")
    names = np.array([f"{600000 + i}.SH" for i in range(values.shape[1])], dtype=object)
    return Panel(days, names, values, tuple(f"f{i}" for i in range(values.shape[2])))


def wall(device: str) -> float:
    """Seconds, once the device has finished its queue."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def trained(values: np.ndarray, labels: np.ndarray, batches: int, warm: int, device: str = "") -> float:
    """Seconds of ``batches`` steps as the trainer makes them, after ``warm`` others; of CPU, or wall on ``device``."""
    spec = override(CATALOG["hf_gru"], min_stocks=5)
    data = Dataset(spec, {"hf": panel_of(values)}, labels, device=device or "cpu")
    clock = functools.partial(wall, device) if device else cpu
    torch.manual_seed(0)
    network = build_network(spec, step_features(spec, data.features)).to(data.device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
    order = np.random.default_rng(0)
    days = np.arange(STEPS - 1, len(values))
    began, step = clock(), 0
    while True:
        for group in data.batches(order.permutation(days)):
            if step == warm:
                began = clock()
            if step == warm + batches:
                return clock() - began
            loss = batch_loss(spec, network, data.batch(group))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), spec.grad_clip)
            optimizer.step()
            step += 1


def contestant(panel: str, label: str, batches: int, fused: bool) -> dict[str, float]:
    torch.set_num_threads(1)
    reuse_freed_memory()
    if not fused:
        fused_gru.fits = lambda gru, window: False
    tiny = np.random.default_rng(0).standard_normal((STEPS + 5, 60, FEATURES)).astype(np.float32)
    trained(tiny, tiny[..., 0].astype(np.float64), 1, 1)
    restart_peak()
    before = memory("VmRSS")
    values, labels = np.load(panel), np.load(label)
    used = trained(values, labels.astype(np.float64), batches, 2)
    extra = memory("VmHWM") - before - values.nbytes
    return {"samples": batches * BATCH, "cpu": used, "extra": extra, "panel": values.nbytes}


def run(name: str, qlib: str, paths: list[str], batches: int) -> dict[str, float]:
    if name == "qlib":
        sizes = [str(n) for n in (STEPS, HIDDEN, BATCH, batches)]
        command = [qlib, str(HERE / "peers" / "gru_qlib.py"), *paths, *sizes]
    else:
        command = [sys.executable, __file__, "--contestant", name, "--batches", str(batches), "--paths", *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict[str, list[dict[str, float]]], stocks: int, days: int) -> str:
    lines = [
        machine("torch", "numba", "numpy") + f"; {stocks:,} stocks x {days} days x {FEATURES} features, windows of "
        f"{STEPS}, {HIDDEN} units, batches of {BATCH:,}; medians of {max(len(r) for r in results.values())} runs.",
        "",
        "| contestant | samples per core-second | / pyqlib | goal | memory beyond the panel, MB | goal |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    rate = {n: statistics.median(r["samples"] / r["cpu"] for r in rs) for n, rs in results.items()}
    for name, runs in results.items():
        extra = statistics.median(r["extra"] for r in runs) / 1e6
        ratio = f"{rate[name] / rate['qlib']:.1f}" if "qlib" in rate else "not run"
        goal = f"{GOALS[name]}" if name in GOALS else ""
        most = f"{1.2 * runs[0]['panel'] / 1e6 + 120:.0f}" if name == "fused" else ""
        lines.append(f"| {NAMES[name]} | {rate[name]:,.0f} | {ratio} | {goal} | {extra:,.0f} | {most} |")
    return "\n".join(lines)


def on_device(values: np.ndarray, labels: np.ndarray, device: str, batches: int, repeat: int) -> str:
    """Samples per second of wall time on a device, and its name."""
    rates = [batches * BATCH / trained(values, labels, batches, 5, device) for _ in range(repeat)]
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return (
        f"`hf_gru` on {name}, torch {torch.__version__}: {statistics.median(rates):,.0f} samples per second of wall "
        f"time (median of {repeat} times {batches} batches of {BATCH:,}; {min(rates):,.0f} to {max(rates):,.0f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qlib-python", help="python of an environment with pyqlib")
    parser.add_argument("--stocks", type=int, default=1000)
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--device", help="measure on this device alone: cuda")
    parser.add_argument("--contestant", choices=["torch", "fused"], help=argparse.SUPPRESS)
    parser.add_argument("--paths", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contestant:
        print(json.dumps(contestant(*args.paths, args.batches, args.contestant == "fused")))
        return
    rng = np.random.default_rng(0)
    if args.device:
        values = rng.standard_normal((args.days, args.stocks, FEATURES), dtype=np.float32)
        print(on_device(values, values[..., 0].astype(np.float64), args.device, args.batches, args.repeat))
        return
    names = [n for n in NAMES if n != "qlib" or args.qlib_python]
    if not args.qlib_python:
        print("no --qlib-python: pyqlib is left out; `pip install pyqlib torch` into an environment of its own")
    results: dict[str, list[dict[str, float]]] = {n: [] for n in names}
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/panel.npy", f"{folder}/labels.npy"]
        np.save(paths[0], rng.standard_normal((args.days, args.stocks, FEATURES), dtype=np.float32))
        np.save(paths[1], rng.standard_normal((args.days, args.stocks), dtype=np.float32))
        for _ in range(args.repeat):
            for name in names:
                # the slowest does fewer batches: its rate does not depend on their number
                batches = args.batches if name == "fused" else max(args.batches // 4, 1)
                results[name].append(run(name, args.qlib_python, paths, batches))
                print(name, results[name][-1], flush=True)
    text = table(results, args.stocks, args.days)
    print(text)
    if args.page:
        put(args.page, "gru", text)


if __name__ == "__main__":
    main()
