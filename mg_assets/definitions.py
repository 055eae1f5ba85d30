"""The one entry point that Dagster loads (workspace.yaml)."""

import os
import warnings

os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from mg_assets.assets import ASSETS
from mg_assets.automation import JOBS, SCHEDULES, SENSORS
from mg_assets.orchestration.checks import build_checks
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource

CHECKS = build_checks()

defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=CHECKS,
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources={"lake": LakeResource(), "source": SourceResource(), "compute": ComputeResource()},
    executor=dg.in_process_executor,  # a process for each step would import torch and pandas anew
)
