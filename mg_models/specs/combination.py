"""The catalog entry of a signal without weights to train."""

from dataclasses import dataclass
from typing import Literal

MARGIN = 12  # trading days beyond the window of weekly observations: the last one's return, and the week's start


@dataclass(frozen=True)
class CombinationSpec:
    """A signal without weights to train.

    Attributes
    ----------
    name : str
    rule : {"equal_weight", "icir_weight", "fuse"}
        ``equal_weight`` and ``icir_weight`` combine the factors of the panel named first in
        ``parts``; ``fuse`` takes the z-scored signals named in ``parts``.
    parts : tuple of str
    weights : tuple of float
        One per part, for ``fuse``.
    window, min_observations : int
        Of ``icir_weight``: weekly RankIC observations looked back over, and the fewest of them.
    horizon : int
        Of the return that the RankIC observations measure, trading days.
    description, source : str
        One sentence; report and chart.
    """

    name: str
    rule: Literal["equal_weight", "icir_weight", "fuse"]
    parts: tuple[str, ...]
    weights: tuple[float, ...] = ()
    window: int = 52
    min_observations: int = 26
    horizon: int = 5
    description: str = ""
    source: str = ""

    @property
    def look_back(self) -> int:
        """Trading days before a day that the weights of its factors depend on."""
        return self.window * self.horizon + MARGIN if self.rule == "icir_weight" else 0


def mean_of(name: str, parts: tuple[str, ...], description: str, source: str) -> CombinationSpec:
    """The equal-weight mean of z-scored signals."""
    return CombinationSpec(name, "fuse", parts, (1.0,) * len(parts), description=description, source=source)
