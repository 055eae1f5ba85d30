"""How much longer a run takes: what its stages have to build, weighted by known costs, corrected by measured speed."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from mg_assets.assets import ASSET_OF, TABLES
from mg_assets.cli.plan import BuildStep
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY
from mg_assets.settings import Settings

SECONDS = {"trades": 0.11, "orders": 0.11, "labels": 0.01, "weekly_report": 20.0}
"""Of a partition with its checks, where it is far from the usual: measured on the demonstration's 200 stocks."""
USUAL = ((DAILY, 0.03), (WEEKLY, 0.06), (MONTHLY, 0.08), (None, 3.0))  # the last of an asset's tables together
TRAINING = 9.0  # a seed of a half-year
PRIOR = 20.0  # seconds of the known costs that the measured speed is weighed against


class Estimate:
    """What is left of a run, in seconds.

    A stage that has not begun counts what it lacks, and of a table that reads one which is built at least the share
    that is built of that.

    Parameters
    ----------
    steps : sequence of BuildStep
        Those with tables and keys.
    lake : Lake or LakeSnapshot
    seeds : mapping of str to int
        Seeds that each training table trains.
    clock : callable
        Gives seconds.
    """

    def __init__(
        self,
        steps: Sequence[BuildStep],
        lake: Lake | LakeSnapshot,
        seeds: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._steps, self._seeds, self._clock = steps, seeds, clock
        self._began = clock()
        self._finished = 0.0  # work of what was built, in seconds of the known costs
        self._stage = 0.0  # work of the stage that is being built
        self._ranges = 0.0  # of it, of ranges of days that are over
        self._done: dict[str, float] = {}  # of it, of the range under way, by what reports its progress
        self._total: dict[str, float] = {}
        self._training = (0.0, 0.0)  # work that is left of the training under way, and the seconds that it says
        self._least = 0.0  # seconds that the asset under way says of itself
        self._next = 0  # the first stage that has not begun
        present = {t: set(lake.keys(t)) for step in steps for t in step.tables}
        self._share = {
            (number, t): 1 - sum(k in present[t] for k in step.keys) / len(step.keys)
            for number, step in enumerate(steps)
            for t in step.tables
        }

    def begin(self, number: int, ready: Mapping[str, Sequence[str]]) -> None:
        """Begin a stage, counted from 1, or a pass of it: what it builds of each table is known now."""
        self._end_stage()
        self._next = number
        self.expect(number, ready)
        self._stage = sum(len(keys) * self._cost(table) for table, keys in ready.items())

    def expect(self, number: int, ready: Mapping[str, Collection[str]]) -> None:
        """Take what a stage, counted from 1, has to build of each table, before it begins."""
        for table, keys in ready.items():
            self._share[number - 1, table] = len(keys) / len(self._steps[number - 1].keys)

    def end(self, number: int) -> None:
        """End a stage, whether something of it was built or not."""
        self._end_stage()
        self._next = number

    def progress(self, name: str, done: int, total: int, left: float) -> None:
        """Take the progress of an asset of the stage, by the names of its tables; a training's of its seeds."""
        _, seeds, _ = name.partition(",")
        tables = [t for t in name.split(" and ") if t in TABLES and TABLES[t].definition != HALF_YEARLY]
        cost = TRAINING if seeds else sum(map(self._cost, tables)) / max(len(tables), 1)
        if done * cost < self._done.get(name, 0.0):  # the asset's next range: the one before is over
            self._ranges += self._total[name]
        self._done[name], self._total[name] = done * cost, total * cost
        self._training = ((total - done) * cost, left) if seeds and left > 0 else (0.0, 0.0)
        self._least = 0.0 if math.isnan(left) else left

    def left(self) -> float:
        """Seconds that the run takes from now on."""
        done = self._finished + min(self._ranges + sum(self._done.values()), self._stage)
        speed = (PRIOR + self._clock() - self._began) / (PRIOR + done)
        training, seconds = self._training
        work = self._finished + self._stage - done + sum(self._coming())
        return max(seconds + speed * max(work - training, 0.0), self._least)

    def _coming(self) -> list[float]:
        """Work of each stage that has not begun."""
        built: dict[str, float] = {}
        out = []
        for number, step in enumerate(self._steps):
            work = 0.0
            for table in step.tables:
                share = self._share[number, table]
                if number >= self._next:
                    share = max([share, *(built.get(n.table, 0.0) for n in TABLES[table].needs)])
                    keys = len(step.keys)
                    work += (keys if step.keys == (WHOLE,) and share else share * keys) * self._cost(table)
                built[table] = max(share, built.get(table, 0.0))
            out.append(work)
        return out

    def _end_stage(self) -> None:
        self._finished += self._stage
        self._stage = self._ranges = self._least = 0.0
        self._done.clear()
        self._training = (0.0, 0.0)

    def _cost(self, table: str) -> float:
        definition = TABLES[table].definition
        if definition == HALF_YEARLY:
            return TRAINING * self._seeds.get(table, 1)
        usual = next(cost for usual, cost in USUAL if usual == definition)
        return SECONDS.get(table) or (usual if definition is not None else usual / len(ASSET_OF[table].tables))


def seeds_of(config: Settings) -> dict[str, int]:
    """Seeds that each training table trains."""
    return {f"{name}_model": len(spec.seeds) for name, spec in config.catalogs.models.items()}


def duration(seconds: float) -> str:
    """A length of time as people say it: ``40 s``, ``6 min``, ``2 h 10 min``."""
    if seconds < 55:
        return f"{max(10 * round(seconds / 10), 10)} s"
    minutes = max(round(seconds / 60), 1)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
