"""Read mutated files with every reader and print what became of them.

    nice python tests/campaigns/fuzz_readers.py [--count 1000] [--seed 1] [--kinds daily minute] [--faults 20]

Each file is a sound one with one to three mutations (:mod:`mutated_files`), repeatable by its seed and number. The
exit status is 1 where any reader raised a traceback, lost a line or took more than 30 s.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from mutated_files import OUTCOMES, campaign, kinds


def main() -> int:
    """Run the campaign; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="mutated files of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=list(kinds()))
    parser.add_argument("--faults", type=int, default=20, help="faults of each kind that are printed in words")
    given = parser.parse_args()
    print("| files | " + " | ".join(OUTCOMES) + " | seconds |\n|---|" + "---:|" * (len(OUTCOMES) + 1))
    every: list[str] = []
    for name, kind in kinds().items():
        if name not in given.kinds:
            continue
        began = time.perf_counter()
        found, faults = campaign(kind, given.count, given.seed)
        cells = [f"{found[o]:,}" for o in OUTCOMES]
        print(f"| {name} | {' | '.join(cells)} | {time.perf_counter() - began:.0f} |", flush=True)
        every += faults[: given.faults]
    print("\n".join(every))
    return int(bool(every))


if __name__ == "__main__":
    raise SystemExit(main())
