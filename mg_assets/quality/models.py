"""Suite of a half-year's trained model."""

from mg_assets.lake.table_view import View
from mg_assets.modelling import certificates
from mg_assets.quality.suite import EXAMPLES, Check, Limit, Measures, Suite

RANK_IC = 1e-3  # what threads and devices may move a mean of daily RankICs by

CHECKS = (
    Check(
        "labels_known",
        "By the calendar, validation's last label was known before the half-year, training's before validation",
        (Limit("late_labels"),),
    ),
    Check(
        "made_of_the_known",
        "The files are those of their cards, and inputs and labels, read again from the lake as it was on the eve of "
        "the half-year, are those of the training",
        (Limit("other_weights"), Limit("changed_inputs")),
    ),
    Check(
        "validation",
        "The stored weights give the best validation RankIC of their card again",
        (Limit("rank_ic_difference", None, RANK_IC),),
    ),
)


def measure_model(view: View, measures: Measures) -> None:
    """The findings of :func:`mg_assets.modelling.certificates.verify_model`."""
    if "recipe" not in view.metadata:
        measures.notes.append("not made by the graph")
        return
    for finding in certificates.verify_model(view.lake, view.table.removesuffix("_model"), view.key):
        measures.put(finding.measure, finding.value)
        measures.examples[finding.measure] = finding.observed[:EXAMPLES]


MODELS = Suite("models", CHECKS, measure_model)
