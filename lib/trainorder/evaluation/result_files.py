"""The result files of a study: their names and fields. Writers, readers and the archive use them.

`docs/results.md` describes every field. Names are relative to `results/<study>/`.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ResultFile:
    """One result file.

    Attributes:
        name: relative to the results of the study.
        rule: the rule that writes it.
        fields: columns of a CSV file in their sequence, or keys of a JSON object.
        part: the optional part of a study that it belongs to; None if every study has it.

    """

    name: str
    rule: str
    fields: tuple[str, ...] = ()
    part: str | None = None

    def path(self, results: str | Path) -> Path:
        """Return the path of the file in the folder `results` of a study."""
        return Path(results) / self.name


ORDERS = ResultFile(
    "orders.json",
    "orders",
    ("study", "steps", "units", "units_per_step", "unit_domains", "unit_losses", "orders"),
)
CORPUS = ResultFile(
    "corpus.json", "corpus", ("source", "tokenizer", "sequence_length", "units", "domains")
)
PREDICTABILITY = ResultFile(
    "predictability.json",
    "predictability",
    (
        *("study", "growth", "linearity", "expectation", "reason", "first_steps", "directions"),
        "cost",
    ),
)
LADDER = ResultFile(
    "ladder.json",
    "ladder",
    ("study", "estimator", "levels", "selected", "reason", "next"),
    part="ladder",
)
TRUTH = ResultFile("truth.csv", "validate", ("order", "metric", "value"))
TRUTH_LOSSES = ResultFile("truth_losses.csv", "validate", ("order", "step", "loss"))
ESTIMATES = ResultFile(
    "estimates.csv",
    "validate",
    (
        *("estimator", "order", "metric", "raw", "value", "low", "high"),
        *("beyond", "seconds"),
    ),
)
TRAJECTORIES = ResultFile(
    "trajectories.csv", "validate", ("estimator", "order", "step", "parameter_error")
)
STEPWISE_LOSSES = ResultFile(
    "stepwise_losses.csv",
    "validate",
    ("estimator", "order", "step", "metric", "estimated", "true"),
    part="stepwise_losses",
)
VALIDATION = ResultFile(
    "validation.json",
    "validate",
    (
        *("study", "verdict", "best_estimator", "selected_estimator", "metrics", "parameters"),
        *("orders", "reference", "existing_run", "predictability", "spread"),
        *("divergence_threshold", "retrain_all", "estimators", "provenance"),
    ),
)
COSTS = ResultFile(
    "costs.json", "validate", ("retraining_sequences", "retraining_seconds", "stages")
)
STORES = ResultFile(
    "stores.json",
    "stores",
    (
        *("study", "path", "steps", "window_steps", "anchors", "units", "parameters"),
        *("dense_bytes", "published_ratio", "orders", "displacement", "loss_spread", "stores"),
        "residuals",
    ),
    part="stores",
)
STORE_FIELDS = (  # of each entry of `stores`
    *("store", "size", "read", "bytes", "ratio", "streaming_bytes", "table_error"),
    *("inner_product_error", "distance_error", "estimated_table_error", "parameter_error"),
    *("loss_error", "loss_error_over_spread"),
)
RESIDUAL_STORE_FIELDS = (  # of each entry of `stores` in its field `residuals`
    *("store", "bytes", "ratio", "residual_error", "parameter_error", "loss_error"),
    "loss_error_over_spread",
)
CURRICULUM = ResultFile(
    "curriculum.json",
    "curriculum",
    (
        *("study", "objective", "readouts", "coverage", "verdicts", "winner", "best_of_field"),
        *("orders", "random", "compute", "gains", "provenance"),
    ),
    part="curriculum",
)
WINNERS = ResultFile("curriculum/winners.json", "curriculum", part="curriculum")
MEMORIZATION = ResultFile(
    "memorization.json",
    "memorization",
    (
        *("study", "estimator", "verdict", "units", "steps", "unit_domains", "retrained"),
        *("agreement", "forgetting", "poisoned", "provenance"),
    ),
    part="memorization",
)
MAPS = ResultFile("memorization.h5", "memorization", part="memorization")
REPLICATES = ResultFile("replicates.json", "replicates", part="replicates")
EXPLORER = ResultFile("explorer.html", "explorer", part="explorer")
REPORT = ResultFile("report.html", "report_page")
PROBES = {  # by expansion path
    path: ResultFile(
        f"store/{path}/probes.json",
        "probes",
        (
            *("study", "rank", "pool", "probed_steps", "reason", "levels", "next", "rounds"),
            *("shrinkage", "basis", "energy_lost", "anchors"),
        ),
        part="curvature",
    )
    for path in ("barycentre", "reference")
}
REFERENCE_UNITS = ResultFile("store/reference/units.json", "curvature", part="curvature")
BARYCENTRE_UNITS = ResultFile("store/barycentre/units.json", "curvature", part="curvature")

# In the sequence in which the archive of a study lists them.
RESULT_FILES = (
    *(ORDERS, CORPUS, PREDICTABILITY, TRUTH, TRUTH_LOSSES, LADDER, ESTIMATES, TRAJECTORIES),
    *(
        STEPWISE_LOSSES,
        VALIDATION,
        COSTS,
        STORES,
        CURRICULUM,
        WINNERS,
        MEMORIZATION,
        MAPS,
        REPLICATES,
    ),
    *(*PROBES.values(), REFERENCE_UNITS, BARYCENTRE_UNITS, EXPLORER),
)
CHECKSUMS = "SHA256SUMS"  # of the result files, in a study that was unpacked from an archive
