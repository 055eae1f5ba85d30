"""What the pooled event logs store of an event: nothing twice, and no row a partition for what is of the whole run."""

from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster_shared.record import copy

from mg_assets.orchestration.data_versions import RECORDED_APART


def recorded_apart(event: EventLogEntry) -> bool:
    """Whether another materialisation of the same partition, with its own data version, comes from the same step."""
    if event.dagster_event_type != DagsterEventType.ASSET_MATERIALIZATION:
        return False
    made = event.asset_materialization
    return made is not None and RECORDED_APART in (made.tags or {})


def of_whole_run(event: EventLogEntry) -> EventLogEntry:
    """A planned check as one row of its run, as it will be evaluated; any other event as it is."""
    # Our checks have no partitions of their own: one evaluation covers all partitions of its run. Dagster plans them
    # with the run's partitions all the same: 15,000 rows of 20 kB for a year that stay "planned"
    if event.dagster_event_type != DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return event
    planned = event.get_dagster_event()
    data = copy(planned.asset_check_planned_data, partitions_subset=None)
    return event._replace(dagster_event=planned._replace(event_specific_data=data))
