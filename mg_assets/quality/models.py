"""Suite of a half-year's trained model."""

from mg_assets.lake.table_view import View
from mg_assets.modelling import certificates
from mg_assets.quality.suite import EXAMPLES, Check, Limit, Measures, Suite
from mg_assets.settings import settings

VALIDATION_DAYS = settings().quality.validation_days
RANK_IC = 1e-3  # a mean of daily RankICs may differ by so much between thread counts and devices

CHECKS = (
    Check(
        "embargo",
        "By the calendar, validation's last label was available before the half-year, training's before validation",
        (Limit("late_labels"),),
    ),
    Check(
        "point_in_time",
        "The files match their cards, and inputs and labels, read again from the lake as of the eve of the half-year, "
        "are those of the training",
        (Limit("other_weights"), Limit("changed_inputs")),
    ),
    Check(
        "validation",
        "Recomputed from the stored weights, the best validation RankIC is that of the card",
        (Limit("rank_ic_difference", None, RANK_IC),),
    ),
    Check(
        "validation_days",
        f"At least {VALIDATION_DAYS} days validate, whose mean RankIC decides when the training stops",
        (Limit("validation_days", VALIDATION_DAYS, None),),
        blocking=False,
    ),
)


def measure_model(view: View, measures: Measures) -> None:
    """Measures of :func:`mg_assets.modelling.certificates.verify_model`."""
    if "recipe" not in view.metadata:
        measures.notes.append("not written by the graph")
        return
    days, checks = view.metadata.get("validation_days"), view.lake.day(view.table, view.key, ["seed"])["seed"]
    if days is not None and checks.duplicated().any():  # a model in closed form is checked once, and stopped by nothing
        measures.put("validation_days", days)
    for measure in certificates.verify_model(view.lake, view.table.removesuffix("_model"), view.key):
        measures.put(measure.name, measure.value)
        measures.examples[measure.name] = measure.observed[:EXAMPLES]


MODELS = Suite("models", CHECKS, measure_model)
