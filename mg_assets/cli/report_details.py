"""Pages of the reports' tables of settings, written from the specifications: ``docs/reports/details_*.md``.

``python -m mg_assets.cli.report_details FOLDER`` writes them (``make docs``). What a report prints stands beside what
the catalog has; what it does not print is ours.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from mg_assets.factors.passports.spec import FactorSpec
from mg_assets.factors.registry import DAILY, passports
from mg_models.catalog import CATALOG
from mg_models.specs.model import ModelSpec
from mg_portfolio.catalog import ALL_PORTFOLIOS, PortfolioSpec

HEAD = "\nWritten by `make docs` from the catalogs and passports; [all reports](index.md).\n"
NOT_PRINTED = "not printed"


def pages() -> dict[str, str]:
    """Markdown of every generated page by its file name."""
    return {"details_72.md": _details_72(), "details_69.md": _details_69()}


def _details_72() -> str:
    parts = ["# Series 72: factors, models and portfolios as built", HEAD]
    for title, family in (
        ("Chart 6: minute factors", "minute"),
        ("Chart 25: trade factors", "trade"),
        ("Chart 36: order factors", "order"),
    ):
        parts += [f"## {title}\n", _factor_table([p for p in passports().values() if p.family == family])]
    common = {
        "label": "10 days (T+1 to T+11), z-scored per day",
        "days of training": "every 5th day, training and validation 4:1 in time",
        "batch": "5,000 rows",
        "epochs at most": "100",
        "early stop": "10 epochs",
        "learning rate": "0.005, Adam",
        "seeds": "3, equal weights",
        "retrained": "every half-year",
    }
    high = {
        "inputs": "40 days of the 27 factors; winsorised, neutral to industry and cap, z-scored, filled",
        "network": "GRU 27 x 40 to 30, one layer; batch norm; linear 30 to 1; sigmoid",
        "loss": "minus IC",
        "days of training": "from 2013, every 5th day, training and validation 4:1 in time",
    }
    low = {
        "inputs": "40 days, 20 weeks, 12 months of open, high, low, close, vwap, volume; each series divided by its "
        "last value, z-scored",
        "network": "one GRU of 30 shared by the three; batch norm and linear of each; mean of the three",
        "loss": "minus the sum of the three ICs, plus 0.01 times their correlations",
    }
    for title, name, printed in (
        ("Chart 44: high-frequency model", "hf_gru", high),
        ("Chart 51: low-frequency model", "lf_multitask", low),
    ):
        parts += [f"## {title}\n", _model_table(CATALOG[name], common | printed)]
    constraints = {
        "signal": "full-band signal, expected return maximised",
        "index": "CSI 500, CSI 1000",
        "weight in the index": "at least 80%",
        "active weight of a stock": "0.8%",
        "active weight of an industry": "below 0.02",
        "styles": "cap below 0.2",
        "turnover": "two-way 30%, 40%, 50% a week",
        "rebalance": "weekly, at the vwap of the day",
        "costs": "0.4% two-sided",
    }
    specs = [p for name, p in ALL_PORTFOLIOS.items() if name in _SERIES_72]
    parts += ["## Chart 62: portfolios\n", _portfolio_table(specs, constraints)]
    return "\n".join(parts)


_SERIES_72 = tuple(f"{index}_turnover{t}" for index in ("csi500", "csi1000") for t in (30, 40, 50))


def _details_69() -> str:
    parts = ["# Series 69: factors, models and portfolios as built", HEAD, "## Chart 7: models\n"]
    printed = {
        "mtl_mlp": "MLP 256 wide; one day a batch",
        "mtl_task_attention": "the same with self-attention of 4 heads",
        "mtl_stock_attention": "MLP 256 wide, Transformer of 2 blocks, 2 heads, feedforward 64, dropout 0.1; 32 days a "
        "batch",
        "lstm": "LSTM of 64, 2 layers; 1,024 stocks a batch",
        "alstm": "the same with additive attention of one head",
        "temporal_transformer": "Transformer of 2 blocks, 2 heads, feedforward 256, dropout 0.1; 1,024 stocks a batch",
    }
    lines = ["| model | printed | built |", "|---|---|---|"]
    for name, text in printed.items():
        spec = CATALOG[name]
        lines.append(f"| `{name}` | {text} | {_network(spec)}; {_batch(spec)} a batch |")
    parts += ["\n".join(lines) + "\n", "## Chart 8: construction\n"]
    training = {
        "network": "MLP 256 wide (chart 7); its depth is not printed",
        "inputs": "42 factors of the day, or of 21 days; winsorised at 5 MAD, z-scored, filled with 0",
        "label": "10 days (T+1 to T+11) and, with two tasks, 20 days, close; ranked, standardised",
        "days of training": "1,512 for training, 504 for validation, 126 predicted; the last 10 or 20 of each left out",
        "loss": "squared error weighted by decay over the returns",
        "batch": "all stocks of a day",
        "learning rate": "0.0001, Adam",
        "early stop": "20 (of what is not printed)",
        "seeds": "5, mean",
        "universe": "listed 63 days, no ST; at each quarter's end the first 60% by amount and by total value of a year",
    }
    parts.append(_model_table(CATALOG["mtl_mlp"], training))
    original = {
        "index": "CSI 500",
        "weight in the index": "no limit",
        "active weight of a stock": "1%",
        "active weight of an industry": "1%",
        "styles": "log free-float value: 1% of a standard deviation",
        "turnover": "one-way 15% a rebalance",
        "rebalance": "every 5 days",
        "costs": "0.2% a side",
    }
    parts.append(_portfolio_table([_portfolio_69("mtl_mlp", relaxed=False)], original))
    factors = [passports()[name] for name in DAILY]
    parts += ["## Chart 9: factors\n", _factor_table(factors), "## Chart 29: relaxed constraints\n"]
    relaxed = original | {
        "active weight of a stock": "2%",
        "active weight of an industry": "2%",
        "styles": "log free-float value: 20% of a standard deviation",
        "turnover": "one-way 20% a rebalance",
    }
    parts.append(_portfolio_table([_portfolio_69("lstm", relaxed=True)], relaxed))
    return "\n".join(parts)


def _portfolio_69(model: str, relaxed: bool) -> PortfolioSpec:
    own = [p for p in ALL_PORTFOLIOS.values() if "69" in p.source and p.signal.startswith(model)]
    return max(own, key=lambda p: p.turnover_limit) if relaxed else min(own, key=lambda p: p.turnover_limit)


def _factor_table(factors: list[FactorSpec]) -> str:
    lines = ["| factor | measures | sign | formula |", "|---|---|---|---|"]
    for p in factors:
        formula = p.formula.replace("|", "\\|")
        lines.append(f"| `{p.name}` | {p.meaning} | {f'{p.direction:+d}' if p.direction else 'none'} | {formula} |")
    return "\n".join(lines) + "\n"


_MODEL: Mapping[str, Callable[[ModelSpec], str]] = {
    "inputs": lambda s: ", ".join(f"`{i.panel}` x {i.steps}" + _scaled(i.scale) for i in s.inputs),
    "label": lambda s: f"{' and '.join(map(str, s.label.horizons))} days, {s.label.price}, {s.label.transform}",
    "universe": lambda s: f"panel `{s.universe}`" if s.universe else "every stock with inputs",
    "days of training": lambda s: _days(s),
    "network": lambda s: _network(s),
    "loss": lambda s: _kind(s.loss),
    "batch": lambda s: _batch(s),
    "learning rate": lambda s: f"{s.learning_rate:g}, Adam, weight decay {s.weight_decay:g}",
    "epochs at most": lambda s: str(s.max_epochs),
    "early stop": lambda s: (
        f"{s.patience} " + (f"checks, one every {s.check_every} steps" if s.check_every else "epochs")
    ),
    "seeds": lambda s: f"{len(s.seeds)}, mean of their predictions",
    "retrained": lambda s: "every half-year",
    "gradient clip": lambda s: f"{s.grad_clip:g}",
    "fewest stocks of a day": lambda s: str(s.min_stocks),
    "share of a window that a stock must have": lambda s: ", ".join(f"{i.min_share:.0%}" for i in s.inputs),
}


def _scaled(scale: str) -> str:
    return ", divided by the last value" if scale == "last_value" else ""


def _days(spec: ModelSpec) -> str:
    split = spec.split
    if split.train_days:
        return f"{split.train_days:,} for training, {split.valid_days:,} for validation"
    start = f"from {split.since}, " if getattr(split, "since", "") else ""
    return f"{start}every {split.every}th day, the last {split.valid_share:.0%} for validation"


def _kind(part: Any) -> str:
    named = [(f.name, getattr(part, f.name)) for f in fields(part) if f.name != "kind"]
    words = ", ".join(f"{name} {value}" for name, value in named if value not in (False, 0, ""))
    return f"{part.kind} ({words})" if words else str(part.kind)


def _network(spec: ModelSpec) -> str:
    return _kind(spec.network)


def _batch(spec: ModelSpec) -> str:
    if spec.batch_days:
        return f"{spec.batch_days} day" + ("s" if spec.batch_days > 1 else "")
    return f"{spec.batch_stocks:,} stocks" if spec.batch_stocks else f"{spec.batch_rows:,} rows, whole days"


def _model_table(spec: ModelSpec, printed: Mapping[str, str]) -> str:
    lines = [f"`{spec.name}`: {spec.description}", "", "| | printed | built |", "|---|---|---|"]
    lines += [f"| {what} | {printed.get(what, NOT_PRINTED)} | {built(spec)} |" for what, built in _MODEL.items()]
    return "\n".join(lines) + "\n"


_PORTFOLIO: Mapping[str, Callable[[PortfolioSpec], str]] = {
    "signal": lambda p: f"`{p.signal}`",
    "index": lambda p: p.index,
    "weight in the index": lambda p: "no limit" if p.member_floor is None else f"at least {p.member_floor:.0%}",
    "active weight of a stock": lambda p: f"{p.stock_limit:.1%}",
    "active weight of an industry": lambda p: f"{p.industry_limit:.1%}",
    "styles": lambda p: ", ".join(f"{style} {p.limit_of(style):g}" for style in p.styles) or "none",
    "turnover": lambda p: f"one-way {p.turnover_limit:.0%} (two-way {2 * p.turnover_limit:.0%})",
    "rebalance": lambda p: f"every {p.every} days, at the next day's vwap",
    "costs": lambda p: f"buying {p.costs.buy:.2%}, selling {p.costs.sell:.2%}",
}


def _portfolio_table(specs: list[PortfolioSpec], printed: Mapping[str, str]) -> str:
    lines = ["Portfolios: " + ", ".join(f"`{p.name}`" for p in specs), "", "| | printed | built |", "|---|---|---|"]
    for what, built in _PORTFOLIO.items():
        words = ", ".join(dict.fromkeys(built(p) for p in specs))
        lines.append(f"| {what} | {printed.get(what, NOT_PRINTED)} | {words} |")
    return "\n".join(lines) + "\n"


def write_pages(folder: Path) -> None:
    """Write the generated pages into a folder (``docs/reports``)."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m mg_assets.cli.report_details FOLDER, an existing folder (docs/reports)")
    write_pages(Path(sys.argv[1]))
