"""Planned checks in the event log: one row for a run instead of one for each of its partitions."""

from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster_shared.record import copy


def of_whole_run(event: EventLogEntry) -> EventLogEntry:
    """A planned check as one row of its run, as it will be evaluated; any other event as it is."""
    # Our checks have no partitions of their own: one evaluation covers all partitions of its run. Dagster plans them
    # with the run's partitions all the same: 15,000 rows of 20 kB for a year that stay "planned"
    if event.dagster_event_type != DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return event
    planned = event.get_dagster_event()
    data = copy(planned.asset_check_planned_data, partitions_subset=None)
    return event._replace(dagster_event=planned._replace(event_specific_data=data))
