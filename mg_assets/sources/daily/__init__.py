"""Daily bars and reference data from histories on disk: mapped tables and Qlib datasets."""
