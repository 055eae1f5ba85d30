"""Read a folder of anybody's market data files: recognise them, read them day by day, report on each file.

>>> report, found = discover_files(folder)
>>> ingest_days(report, found, open_sources(report))
"""

from mg_assets.ingest.discover import FileReport, IngestReport, discover_files
from mg_assets.ingest.read_days import OpenedSources, ingest_days, open_sources
from mg_assets.ingest.recognise import Recognised, recognise

__all__ = [
    "FileReport",
    "IngestReport",
    "OpenedSources",
    "Recognised",
    "discover_files",
    "ingest_days",
    "open_sources",
    "recognise",
]
