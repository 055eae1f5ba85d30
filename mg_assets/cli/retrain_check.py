"""``mg retrain-check``: train a stored model once more and compare the weights byte for byte."""

import argparse

from mg_assets.cli.arguments import half_year
from mg_assets.cli.screen import Screen
from mg_assets.settings import settings


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg retrain-check`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "retrain-check",
        help="retrain a stored model and compare the bytes",
        description="Retrain a stored model from the lake as it is now and compare the weights byte for byte; where "
        "they differ, report whether inputs or libraries do. Exit code 1 where a seed differs. Writes nothing.",
    )
    parser.add_argument("model", help="as in the catalog: lf_multitask, ...")
    parser.add_argument("half_year", type=half_year, help="2017H1")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Check a model of the settings' lake on the settings' device; 0 where every seed gave the same bytes, else 1."""
    from mg_assets.lake.store import Lake
    from mg_assets.modelling.device import torch_device
    from mg_assets.modelling.reproduce import retrain_check

    config, screen = settings(), Screen()
    device = torch_device(config.device)
    screen.line(f"{chosen.model} {chosen.half_year} in {config.lake_url}, on {device}")
    workers = config.worker_count if device == "cpu" else 1
    seeds = retrain_check(Lake(config.lake_url), chosen.model, chosen.half_year, device, workers)
    for seed in seeds:
        screen.line(str(seed))
    return 0 if all(seed.same for seed in seeds) else 1
