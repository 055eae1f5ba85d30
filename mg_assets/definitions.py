"""The one entry point that Dagster loads (workspace.yaml)."""

import os

import dagster as dg

from mg_assets.assets import ASSETS, TABLES
from mg_assets.automation import JOBS, SCHEDULES, SENSORS
from mg_assets.orchestration.checks import build_checks, check_own_rules, checked_tables
from mg_assets.orchestration.resources import deployed_resources
from mg_assets.orchestration.verification import file_checks

os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")  # a range's materialisations in one transaction

check_own_rules(TABLES)
CHECKS = build_checks(table for table in checked_tables() if table in TABLES)

defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=[*CHECKS, file_checks(TABLES)],
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources=deployed_resources(),
    executor=dg.in_process_executor,  # a process for each step would import torch and pandas again
)
