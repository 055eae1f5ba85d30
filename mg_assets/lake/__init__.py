"""Parquet tables on disk or an object store, and the views that the application reads them through."""
