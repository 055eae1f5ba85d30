"""The catalog as a Markdown table; ``python -m mg_models.catalog.table docs/models.md`` writes it into that page."""

import sys
from pathlib import Path

from mg_models.catalog import CATALOG, COMBINATIONS
from mg_models.specs.data import ALL_HISTORY
from mg_models.specs.model import ModelSpec

HEADING = "## The catalog\n\n"


def catalog_table() -> str:
    """Trained models, then combinations, a row each, as Markdown."""
    lines = ["| model | reads | label | network | loss | days | seeds | source |", "|---|---|---|---|---|---|---|---|"]
    lines += [_row(spec) for spec in CATALOG.values()]
    lines += ["", "| signal | made of | source |", "|---|---|---|"]
    for c in COMBINATIONS.values():
        if c.rule == "fuse":
            weights = "" if len(set(c.weights)) == 1 else f", weights {' : '.join(f'{w:g}' for w in c.weights)}"
            recipe = f"mean of {', '.join(f'`{p}`' for p in c.parts)}{weights}"
        else:
            recipe = f"`{c.parts[0]}` factors, {c.rule.replace('_', ' ')}"
        lines.append(f"| `{c.name}` | {recipe} | {c.source} |")
    return "\n".join(lines) + "\n"


def _row(spec: ModelSpec) -> str:
    reads = ", ".join(f"`{i.panel}` x {i.steps}" for i in spec.inputs)
    label = f"{'/'.join(str(h) for h in spec.label.horizons)} d, {spec.label.price}, {spec.label.transform}"
    split = spec.split
    days = f"{split.train_days} + {split.valid_days}" if split.train_days else "expanding 4:1"
    if split.train_days >= ALL_HISTORY:
        days = f"all before the last {split.valid_days}"
    settings = {k: v for k, v in vars(spec.network).items() if k != "kind" and v not in (False, 0)}
    sizes = ", ".join(f"{k} {v}" for k, v in settings.items())
    network = f"{spec.network.kind} ({sizes})" if sizes else spec.network.kind
    loss = f"{spec.loss.kind}"
    days += f", every {split.every}" if split.every > 1 else ""
    return f"| `{spec.name}` | {reads} | {label} | {network} | {loss} | {days} | {len(spec.seeds)} | {spec.source} |"


def into(page: str) -> str:
    """The page with this table at its end, below :data:`HEADING`."""
    before, heading, _ = page.partition(HEADING)
    return before + heading + catalog_table()


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(into(path.read_text(encoding="utf-8")), encoding="utf-8")
