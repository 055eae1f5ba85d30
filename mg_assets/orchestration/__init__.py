"""All of Dagster but the assets: how a table becomes one, partitions, staleness, checks, resources, the event log."""

import warnings

import dagster as dg

# code references and partition mappings are in beta, and each of them would warn
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
