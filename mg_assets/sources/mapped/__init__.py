"""Daily, minute and reference tables on disk in the columns of any vendor, described by a YAML file."""
