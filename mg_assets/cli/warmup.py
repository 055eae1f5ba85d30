"""``mg warmup``, which ``mg run`` starts by itself: JIT cache warming, in its own process while the first steps run.

A new checkout has no compiled kernels; each would be compiled when its step comes, one after the other, with the other
cores idle. The warm-up goes through the steps ahead of the run: a market of a few stocks and days in a temporary lake,
the same functions, the same types. Numba keeps what it compiles on disk, where the run finds it.

A finished warm-up leaves a mark beside the kernels with a digest of their sources; until one of them changes there is
nothing to do. A lake without ticks or minute bars has a warm-up and a mark of its own: nothing of ticks is compiled.
"""

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mg_assets.errors import SettingsError
from mg_assets.settings import CHECKOUT

PACKAGES = ("mg_assets", "mg_models", "mg_portfolio")
MARK = CHECKOUT / "mg_assets" / "__pycache__" / "warmed_up"
MARKET: dict[str, Any] = {"stocks": 12, "tick_start": "2022-02-07", "orders_per_stock": 60}
NO_TICKS_BEFORE = "2023-01-03"
DAYS = ("2022-02-07", "2022-02-08", "2022-02-09")
PERIODS = {"weekly_bars": ("2022-02-07",), "monthly_bars": ("2022-02-01",)}
OF_DAYS = (
    "planted_signal", "reference", "daily_bars", "weekly_bars", "monthly_bars", "daily_factors", "labels",
)  # fmt: skip
CHAIN = (
    "planted_signal", "reference", "trades", "minute_bars", "daily_bars", "intraday_factors", "features_240m",
    "factor_inputs", "factor_scores", "weekly_bars", "monthly_bars", "daily_factors", "labels",
)  # fmt: skip


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg warmup`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "warmup",
        help="compile the kernels ahead of the first run",
        description="Compile the kernels of every step and keep them beside their sources, as for the image of a "
        "container or each machine of a cluster. mg run does so by itself, in the background.",
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Compile the kernels in this process, or say that they are compiled.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SettingsError
        The checkout cannot be written.
    """
    if not os.access(MARK.parent.parent, os.W_OK):
        raise SettingsError(f"{MARK.parent.parent} cannot be written: run mg warmup as its owner")
    if not needed():
        print("the kernels of these sources are compiled")
        return 0
    began = time.monotonic()
    print("compiling the kernels of every step, a minute or two", flush=True)
    warm_up()
    print(f"done in {time.monotonic() - began:.0f} s")
    return 0


def start(ticks: bool = True) -> subprocess.Popen | None:
    """Warm up in a process of lower priority, unless the kernels of these sources were compiled before or just are.

    Parameters
    ----------
    ticks : bool
        Whether the lake has ticks or minute bars.

    Returns
    -------
    Popen or None
    """
    if not needed(ticks):
        return None
    command = [sys.executable, "-c", f"from mg_assets.cli.warmup import warm_up; warm_up({ticks})"]
    quiet = subprocess.DEVNULL
    mark = _mark(ticks)
    mark.parent.mkdir(exist_ok=True)
    with mark.with_name(f"{mark.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another run's warm-up is under way
            return None
        return subprocess.Popen(
            command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=CHECKOUT, start_new_session=True,
            pass_fds=[lock.fileno()],  # held until that process ends
        )  # fmt: skip


def needed(ticks: bool = True) -> bool:
    """Whether a kernel's source has changed since the last finished warm-up, or there was none."""
    if not os.access(MARK.parent.parent, os.W_OK):
        return False
    marks = {MARK, _mark(ticks)}  # a whole warm-up has compiled what a lake without ticks needs
    return sources() not in [m.read_text() for m in marks if m.exists()]


def _mark(ticks: bool) -> Path:
    return MARK if ticks else MARK.with_name(f"{MARK.name}_daily")


def sources() -> str:
    """Digest of every module that holds kernels, and of numba's version."""
    digest = hashlib.blake2b(version("numba").encode(), digest_size=16)
    for package in PACKAGES:
        for file in sorted((CHECKOUT / package).rglob("*.py")):
            text = file.read_bytes()
            if b"njit" in text or b"@kernel" in text:
                digest.update(str(file.relative_to(CHECKOUT)).encode() + b"\0" + text)
    return digest.hexdigest()


def warm_up(ticks: bool = True) -> None:
    """Go through the steps on a few stocks, the run's last ones first: it compiles its first ones itself."""
    os.nice(5)  # the run itself comes first
    before = sources()
    _training()
    for part in (partial(_days, ticks=ticks), _evaluation):
        with tempfile.TemporaryDirectory(prefix="mg_warm_up_") as folder:
            part(folder)
    MARK.parent.mkdir(exist_ok=True)
    _mark(ticks).write_text(before)


def _days(folder: str, ticks: bool) -> None:
    """Ticks, bars, factors and their checks; or daily bars and their factors alone."""
    from mg_assets.assets import ASSET_OF, make
    from mg_assets.lake.store import Lake
    from mg_assets.quality import SUITES, run_suite
    from mg_assets.sources import build_source

    lake = Lake(folder)
    source = build_source("simulated", MARKET if ticks else MARKET | {"tick_start": NO_TICKS_BEFORE})
    for table in CHAIN if ticks else OF_DAYS:
        keys = list(PERIODS.get(table, DAYS))
        for built in make(table, keys, lake, source, log=lambda line: None):
            lake.write(built.table or table, built.key, built.frame, built.stored)
        for name in ASSET_OF[table].tables:
            if name in SUITES:
                run_suite(name, lake, keys)


def _training() -> None:
    """A step of the fused GRU over daily bars, and their windows gathered."""
    import numpy as np
    import torch

    from mg_models.data.panel import Panel
    from mg_models.data.panel_windows import Windows
    from mg_models.networks.fused_gru import fused_last_state
    from mg_models.specs.data import InputSpec

    stocks, days = np.arange(64), np.arange("2024-01-02", "2024-01-05", dtype="datetime64[D]")
    bars = Panel(days, stocks, np.ones((3, 64, 6), np.float32), tuple("ohlcvw"))
    view = Windows(bars, InputSpec("daily", 3, "last_value")).view([2], [stocks], [stocks])
    view.tensor()
    fused_last_state(torch.nn.GRU(6, 30), view).sum().backward()


def _evaluation(folder: str) -> None:
    """Evaluate factors on random scores."""
    import datetime as dt

    import numpy as np
    import pandas as pd

    from mg_assets.assets import make
    from mg_assets.evaluation import MIN_DAYS
    from mg_assets.factors.registry import ALL34
    from mg_assets.lake.partition_keys import WHOLE
    from mg_assets.lake.store import Lake
    from mg_assets.market.calendar import trading_days
    from mg_assets.sources import build_source

    lake = Lake(folder)
    source = build_source("simulated", {"stocks": 60, "tick_start": "2023-01-03"})
    random_tables = {
        "factor_scores": ALL34,
        "common_factors": ("reversal", "cap", "turnover"),
        "daily_factors": ("std_1m",),
    }
    rng = np.random.default_rng(0)
    for day in map(str, trading_days("2022-10-10", "2022-12-30")[: MIN_DAYS + 10]):
        for table in ("daily_bars", "reference"):
            frame = source.load(table, dt.date.fromisoformat(day)).frame
            lake.write(table, day, frame)
        for table, columns in random_tables.items():
            scores = pd.DataFrame(rng.normal(size=(len(frame), len(columns))), columns=list(columns))
            lake.write(table, day, scores.assign(symbol=frame["symbol"]))
    for _ in make("factor_evaluation", [WHOLE], lake, source, log=lambda line: None):
        pass
