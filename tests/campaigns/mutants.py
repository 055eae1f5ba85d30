"""Break the core in one place at a time and see whether its tests notice: ``make mutants``.

    nice python tests/campaigns/mutants.py [--count 120] [--seed 1] [--area NAME] [--again] [--results FILE]

1. :data:`AREAS` names the modules of an area and the tests that hold them.
2. Every place that an operator of ``source_mutants`` can change is a mutant; ``--count`` of them are drawn by the seed,
   the same number from each area.
3. The checkout is copied. The tests of each area must pass on the copy; their CPU time sets the limit of a mutant's.
4. A process that has imported the libraries, none of ours, is forked for each mutant: it writes the changed file into
   the copy, runs the tests up to the first failure, and the file is put back. A mutant that makes no test fail within
   the limit of CPU time has survived.
5. Results go to a file, one line each; those in it are not run again (``--again``: the survivors are).

Kernels of ticks are not changed themselves: one is compiled for a minute, and without numba they, which use its
intrinsics, do not run. Their naive twins in tests/helpers are changed instead: where a change of the twin makes no test
fail, no test would see that change of the kernel. The kernels of the other areas run as plain Python where
:data:`INTERPRETED` has their area; in the rest a changed file is compiled again, and nothing compiled is kept.
"""

import argparse
import contextlib
import functools
import hashlib
import importlib
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import traceback
from dataclasses import asdict
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from source_mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
KERNELS, FACTORS, LAKE = "mg_assets/factors/kernels", "mg_assets/factors", "mg_assets/lake"
OPTIMIZATION, BACKTEST, EVALUATION = (f"mg_portfolio/{name}" for name in ("optimization", "backtest", "evaluation"))

AREAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "factor kernels": (
        ("tests/helpers/factors_twin.py", "tests/helpers/granular_twin.py"),
        (
            *(f"tests/{KERNELS}/test_{n}.py" for n in ("kernels", "intraday", "build_bars")),
            f"tests/{FACTORS}/test_granular.py",
        ),
    ),
    "daily factors": (
        tuple(f"{FACTORS}/{n}.py" for n in ("cross_section", "granular", "periods")),
        tuple(f"tests/{FACTORS}/test_{n}.py" for n in ("cross_section", "periods", "granular")),
    ),
    "labels": (
        (f"{FACTORS}/labels.py", "mg_models/data/label_transforms.py"),
        (
            f"tests/{FACTORS}/test_labels.py",
            "tests/mg_models/data/test_label_transforms.py",
            "tests/mg_models/data/test_price_volume.py::test_a_neutral_label_has_nothing_of_the_styles",
            "tests/test_labelled_inputs.py::test_the_order_of_labels_changes_nothing[mg_assets.labels]",
        ),
    ),
    "splits": (("mg_models/data/splits.py",), ("tests/mg_models/data/test_splits.py",)),
    "certificates": (
        ("mg_assets/modelling/certificates.py",),
        (
            "tests/mg_assets/modelling/test_certificate_dates.py",
            *(
                f"tests/mg_assets/modelling/test_certificates.py::test_{name}"
                for name in (
                    "a_certificate_is_verified",
                    "a_leak_in_the_inputs_is_found",
                    "labels_inside_the_embargo_are_found",
                    "a_certificate_that_does_not_fit_is_found",
                    "what_cannot_be_recomputed_is_named",
                    "scores_without_a_recipe_need_no_certificate",
                    "a_model_is_verified_on_the_lake_as_of_the_eve",
                )
            ),
        ),
    ),
    "losses": (
        ("mg_models/training/losses.py", "mg_models/data/day_statistics.py"),
        (
            "tests/mg_models/training/test_losses.py",
            *(f"tests/mg_models/data/test_{n}.py" for n in ("label_transforms", "day_statistics")),
        ),
    ),
    "constraints": (
        tuple(f"{OPTIMIZATION}/{n}.py" for n in ("constraints", "quadratic", "linear", "relaxation", "build_problem")),
        tuple(f"tests/{OPTIMIZATION}/test_{n}.py" for n in ("optimize", "optimize_twin", "infeasibility")),
    ),
    "check of weights": (("mg_assets/quality/weights.py",), ("tests/mg_assets/quality/test_weights.py",)),
    "execution and costs": (
        (
            "mg_portfolio/costs.py",
            "mg_portfolio/exchange_rules.py",
            *(f"{BACKTEST}/{n}.py" for n in ("execution", "simulate", "holdings", "rebalance")),
        ),
        (
            *(f"tests/{BACKTEST}/test_{n}.py" for n in ("execution", "simulate", "rebalance")),
            *(f"tests/{BACKTEST}/test_{n}.py" for n in ("expected_returns", "risk_history")),
            "tests/mg_portfolio/test_exchange_rules.py",
        ),
    ),
    "metrics": (
        (
            "mg_portfolio/metrics.py",
            *(f"{EVALUATION}/{n}.py" for n in ("rank_ic", "rank_kernels", "track_metrics", "forward_returns")),
        ),
        (
            "tests/mg_portfolio/test_metrics.py",
            *(f"tests/{EVALUATION}/test_{n}.py" for n in ("rank_ic", "evaluate", "report_period")),
        ),
    ),
    "lake": (
        tuple(f"{LAKE}/{n}.py" for n in ("store", "integrity", "index", "digest", "verify", "partition_keys")),
        (
            *(f"tests/{LAKE}/test_{n}.py" for n in ("store", "integrity", "index", "digest", "partition_keys")),
            f"tests/{LAKE}/test_read_range.py",
            "tests/mg_models/test_atomic_file.py",
        ),
    ),
    "partitions": (
        ("mg_assets/orchestration/partitions.py", "mg_assets/market/calendar.py"),
        ("tests/mg_assets/orchestration/test_partitions.py", "tests/mg_assets/market/test_calendar.py"),
    ),
    "staleness": (
        ("mg_assets/orchestration/staleness.py", "mg_assets/orchestration/inputs.py"),
        ("tests/mg_assets/orchestration/test_staleness.py",),
    ),
}
"""Modules and tests of each area, paths from the root of the checkout."""

INTERPRETED = ("daily factors", "metrics")
"""Areas whose tests run without numba, in less time than the compilation of a kernel."""

LIBRARIES = (
    "numpy", "scipy.stats", "scipy.optimize", "scipy.sparse", "pandas", "pyarrow.parquet", "pyarrow.compute", "numba",
    "torch", "matplotlib.figure", "dagster", "pytest", "hypothesis", "exchange_calendars", "yaml", "xxhash", "fsspec",
)  # fmt: skip
"""Imported once, before the first mutant."""
IMPORTED = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
OPTIONS = ("-x", "-m", "not slow", "-p", "no:cacheprovider", "-W", IMPORTED, "--tb=line")


def draw(areas: list[str], count: int, seed: int) -> list[tuple[str, Mutant]]:
    """The same number from each area, drawn without replacement."""
    drawn, each = [], -(-count // len(areas))
    for area in areas:
        every = [m for path in AREAS[area][0] for m in mutants(path, (ROOT / path).read_bytes())]
        chosen = random.Random(f"{seed} {area}").sample(every, min(each, len(every)))
        drawn += [(area, mutant) for mutant in chosen]
    return drawn


class Runner:
    """Runs tests in a copy of the checkout, each time in a fork of this process.

    Parameters
    ----------
    copy : Path
        Of the checkout, to be changed.
    """

    def __init__(self, copy: Path) -> None:
        self._copy = copy
        self._limits: dict[str, float] = {}
        os.environ |= {"PYTHONPATH": f"{copy}{os.pathsep}{copy / 'tests' / 'helpers'}", "OMP_NUM_THREADS": "1"}
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.path[:0] = [str(copy)]
        for name in LIBRARIES:
            importlib.import_module(name)

    def prepare(self, area: str) -> float:
        """CPU seconds of an area's tests on the unchanged copy; the program ends where they do not pass."""
        self._limits[area] = float("inf")
        passed, seconds, output = self._tests(area, keep=True)
        if not passed:
            raise SystemExit(f"the tests of {area} do not pass:\n{output[-3000:]}")
        self._limits[area] = 3.0 * seconds + 60.0  # a changed kernel is compiled again
        return seconds

    def survives(self, area: str, mutant: Mutant) -> tuple[bool, float, str]:
        """Whether no test failed, the CPU seconds, and the last lines of the output."""
        file = self._copy / mutant.path
        content, stamp = file.read_bytes(), file.stat()
        cached = Path(importlib.util.cache_from_source(str(file)))
        cached.unlink(missing_ok=True)
        try:
            file.write_bytes(mutant.source(content))
            return self._tests(area, keep=False)
        finally:
            file.write_bytes(content)
            os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # numba's cache is stamped by it

    def _tests(self, area: str, keep: bool) -> tuple[bool, float, str]:
        with tempfile.TemporaryFile() as log:
            process = os.fork()
            if not process:
                try:
                    os._exit(_child(self._copy, log.fileno(), area, self._limits[area], keep))
                except BaseException:
                    traceback.print_exc()
                finally:  # the folder of the copy is the parent's to remove
                    os._exit(1)
            _, status, usage = os.wait4(process, 0)
            log.seek(0)
            return status == 0, usage.ru_utime + usage.ru_stime, log.read().decode(errors="replace")


def _child(copy: Path, log: int, area: str, limit: float, keep: bool) -> int:
    """Run pytest in this process, which is a fork; the exit status."""
    import pytest
    from numba.core import caching, config

    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(copy)
    if limit < float("inf"):
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "dont_write_bytecode", True))
        stack.enter_context(mock.patch.object(config, "DISABLE_JIT", area in INTERPRETED))
        if not keep:
            stack.enter_context(mock.patch.object(caching.Cache, "save_overload"))
        stack.enter_context(contextlib.redirect_stdout(os.fdopen(1, "w", closefd=False)))
        temporary = f"--basetemp={copy.parent / 'pytest'}"  # the common one is another run's to clean
        status = int(pytest.main([*OPTIONS, temporary, *AREAS[area][1]]))
        sys.stdout.flush()
    return status


def table(results: list[dict]) -> str:
    """Mutants, killed and survivors of each area, and the survivors one a line."""
    lines = ["| area | mutants | killed | survived |", "|---|---|---|---|"]
    areas = [area for area in AREAS if any(r["area"] == area for r in results)]
    for name, chosen in [(a, [r for r in results if r["area"] == a]) for a in areas] + [("all", results)]:
        survived = sum(r["survived"] for r in chosen)
        lines.append(f"| {name} | {len(chosen)} | {len(chosen) - survived} | {survived} |")
    left = sorted((r for r in results if r["survived"]), key=lambda r: (r["path"], r["line"]))
    shown = [f"{r['path']}:{r['line']}: {' '.join(r['before'].split())}  ->  {r['after']}" for r in left]
    return "\n".join([*lines, *([""] if shown else []), *shown])


def main() -> int:
    """Run the campaign; the exit status is 1 where a mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--area", action="append", choices=[*AREAS], help="of these alone; may be repeated")
    parser.add_argument("--again", action="store_true", help="run the survivors in the results again")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mg_mutants.jsonl")
    given = parser.parse_args()
    done = {}
    if given.results.exists():
        done = {r["id"]: r for r in map(json.loads, given.results.read_text().splitlines())}
    drawn = draw(given.area or [*AREAS], given.count, given.seed)
    known = {_identity(m): m for _, m in drawn}
    waiting = [(a, m) for a, m in drawn if _identity(m) not in done or (given.again and done[_identity(m)]["survived"])]
    if waiting:
        with tempfile.TemporaryDirectory(prefix="mg_mutants_") as folder:
            copy = Path(folder) / "checkout"
            shutil.copytree(ROOT, copy, ignore=_not_copied, symlinks=True)
            (Path(folder) / "shared").symlink_to(ROOT.parent / "shared")
            runner = Runner(copy)
            for area in dict.fromkeys(a for a, _ in waiting):
                print(f"{area}: tests take {runner.prepare(area):.0f} s of CPU", flush=True)
                for mutant in (m for a, m in waiting if a == area):
                    survived, seconds, _ = runner.survives(area, mutant)
                    line = asdict(mutant) | {"id": _identity(mutant), "area": area, "survived": survived}
                    done[line["id"]] = line
                    with given.results.open("a") as file:
                        file.write(json.dumps(line | {"seconds": round(seconds, 1)}) + "\n")
                    word = "SURVIVED" if survived else "killed"
                    print(f"{word} {mutant.path}:{mutant.line} {mutant.after[:80]}", flush=True)
    results = [r for i, r in done.items() if i in known]
    print(table(results))
    return int(any(r["survived"] for r in results))


@functools.cache
def _digest(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()[:12]


def _identity(mutant: Mutant) -> str:
    return f"{mutant.path} {_digest(mutant.path)} {mutant.start}-{mutant.end} {mutant.after}"


def _not_copied(folder: str, names: list[str]) -> set[str]:
    return {".git", ".venv", "site", "lake"} & set(names) if Path(folder) == ROOT else set()


if __name__ == "__main__":
    sys.exit(main())
