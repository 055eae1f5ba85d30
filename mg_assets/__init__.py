"""Lake, sources, factors and the Dagster graph."""
