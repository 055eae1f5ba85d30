"""``mg cost``: what the training of a half-year will take. Trains nothing."""

import argparse
import json
from dataclasses import asdict

from mg_assets.cli.arguments import half_year
from mg_assets.cli.screen import Screen
from mg_assets.errors import DataError
from mg_assets.settings import settings


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg cost`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "cost",
        help="estimate a half-year's training: steps, minutes, memory",
        description="Estimate what training a model for a half-year takes on the settings' lake, device and workers. "
        "Takes the rate of an earlier training where there is one, else times some steps. Trains nothing.",
    )
    parser.add_argument("model", help="as in the catalog: lf_multitask, ...")
    parser.add_argument("half_year", type=half_year, help="2017H1")
    parser.add_argument("--measure", action="store_true", help="time some steps even if an earlier training was timed")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Estimate on the settings' lake, overrides, device and workers."""
    from mg_assets.lake.store import Lake
    from mg_assets.modelling.device import torch_device
    from mg_assets.modelling.monitor import cost_of
    from mg_assets.settings.values import known_names

    config, screen = settings(), Screen()
    models = config.catalogs.models
    if chosen.model not in models:
        known = known_names(chosen.model, models, where="docs/models.md")
        raise DataError(f"there is no trained model {chosen.model!r}; {known}")
    spec = models[chosen.model]
    device = torch_device(config.device)
    cost = cost_of(Lake(config.lake_url), spec, chosen.half_year, device, config.worker_count, chosen.measure)
    if chosen.json:
        print(json.dumps(asdict(cost), indent=1))
        return 0
    screen.line(f"{chosen.model} {chosen.half_year} in {config.lake_url}")
    for what, text in cost.lines():
        screen.message(f"{what}: {text}")
    return 0
