"""Dagster's web server as ``mg ui`` starts it: guarded against other sites' pages, and serving the lake's own pages."""
