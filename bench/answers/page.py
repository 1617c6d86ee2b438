"""The answers of `docs/published.md`: a row for each claim, table and objection.

`write` puts them between the marks of the page. Every number is read from the records in
`docs/measured/`; where one is missing, the row says "not measured yet".
"""

from collections.abc import Sequence
from pathlib import Path

from bench.answers import accuracy, applications, costs
from bench.answers.records import MissingError, Records
from bench.answers.scale import scale_table
from bench.answers.words import Find, text_of
from bench.page import replace_marked, table
from trainorder.figures.published import PUBLISHED, published_text

PAGE = Path("docs/published.md")

# Tables: what the study shows or a reader asks; our counterpart; how to regenerate it; the finding.

Row = tuple[str, str, str, Find]

CLAIMS: Sequence[Row] = (
    (
        PUBLISHED["abstract: order"],
        "spread of true losses over orders, figure `true_spread`",
        "`make study`",
        accuracy.spread,
    ),
    (
        "First- and second-order expansions of Adam's update give the parameters of any order "
        "without retraining",
        "`fut`, `fut++`, and `corrected`, against real retraining",
        "`make study`",
        accuracy.published_accuracy,
    ),
    (
        "Random projection stores what is needed",
        "`stores.json`, figure `stores`",
        "`make study`",
        costs.projection,
    ),
    (
        PUBLISHED["abstract: efficiency"],
        "`cost` of each estimator, figure `accuracy_vs_compute`",
        "`make study`",
        costs.efficiency,
    ),
    (
        "It designs better curricula",
        "`curriculum.json`, figure `curriculum`: searched orders, retrained",
        "`make study`",
        applications.gains,
    ),
    (
        "It shows how positions influence memorization and generalization",
        "`memorization.h5`, figure `memorization`: maps against retraining",
        "`make applications`",
        applications.positions,
    ),
)

TABLES: Sequence[Row] = (
    (
        published_text("table 1"),
        "the same, beside the spread and the relative error",
        "`make published`",
        accuracy.perplexities,
    ),
    (
        published_text("table 2"),
        "searched orders with time, memory, bytes and retrainings",
        "`make published`",
        applications.published_gains,
    ),
    (
        "Not in the published study: curricula under other schedules",
        "gains over random orders at equal compute",
        "`make applications`",
        applications.gains_by_training,
    ),
    (
        published_text("figure 3"),
        "figure `memorization`, with correlation and error on a retrained sample",
        "`make applications`",
        applications.maps,
    ),
    (
        published_text("figure 7"),
        "figure `loss_along_window`, `stepwise_losses.csv`",
        "`make published`",
        accuracy.stepwise_errors,
    ),
    (
        published_text("table 4"),
        "`stores.json`, figure `stores`; [at the published size](#cost-at-the-published-scale)",
        "`make study`",
        costs.stored_terms,
    ),
)

OBJECTIONS: Sequence[Row] = (
    (
        "Only perplexity, no downstream benchmark",
        "held-out loss of each domain, parameters, loss on each unit; [multiple choice]"
        "(method.md#multiple-choice) from held-out text; no public benchmark",
        "`make published`",
        applications.downstream,
    ),
    (
        "No comparison with influence methods or proxies",
        "`adjoint` (exact TracIn), `proxy`, `ridge`, `simfluence`, [on leave-out orders, too]"
        "(orders.md#how-the-estimators-compare), and [at equal compute](measured/transfer.md)",
        "`make study`, then `python -m bench.leave_out results/default`; "
        '`make bench ARGS="--only equal-compute"`',
        accuracy.others,
    ),
    (
        "Is the T² precompute worth it?",
        "precompute and cost per order of each estimator, beside retraining every order",
        "`make study`",
        costs.break_even,
    ),
    (
        "One model size, one architecture, one text",
        "[rows of the benchmark](measured/transfer.md); all models are small decoders",
        "`make bench`, `make bench-pretrained`",
        accuracy.transfer,
    ),
    (
        "No columns of time and memory",
        "`costs.json`, the figure `cost_table`, [tables by window](measured/published.md)",
        "`make published`",
        costs.time_and_memory,
    ),
    (
        "T of 256 is tiny",
        "longer windows in the benchmark; 256 is the longest",
        "`make bench`",
        accuracy.longer_windows,
    ),
    (
        "The new run leaves the reference, and errors compound",
        "the barycentre path; `corrected`, which differentiates at the replay's own parameters",
        "`make study`",
        accuracy.paths,
    ),
    (
        "Derivatives from stacked secants",
        "`fut` beside exact derivatives in `taylor1`",
        "`make study`",
        accuracy.secants,
    ),
    (
        "Is the estimation stage cheap?",
        "seconds and retrainings per order",
        "`make study`",
        costs.estimation_stage,
    ),
    (
        "What the projection preserves is not what is used",
        "`stores.json` measures both",
        "`make study`",
        costs.projection,
    ),
    (
        "Absolute error hides relative error",
        '`relative_error`: 1 for "the order has no effect"',
        "`make published`",
        accuracy.relative,
    ),
    (
        "Maps are compared by eye",
        "rank correlation and squared error on a retrained sample of cells",
        "`make applications`",
        applications.map_errors,
    ),
    ("Effect of the batch size", "rows with larger batches", "`make bench`", accuracy.batches),
    (
        "Orders of several epochs",
        "a row with two epochs; the preset `sample_order` has two epochs and units of one sequence",
        "`make bench`",
        accuracy.several_epochs,
    ),
    (
        "Memorization by position is recency; presence against absence is not shown",
        "`presence`: a unit against another one of its domain in the same place; figure "
        "`forgetting`",
        "`make applications`",
        applications.presence,
    ),
    (
        "How errors propagate is not analysed",
        "[growth of a perturbation](predictability.md), measured before any estimate",
        "`make bench`",
        accuracy.growth,
    ),
    (
        "Better framed as an instrument: one poisoned unit early or late",
        "[a poisoned unit](positions.md#a-poisoned-unit) first, in the middle and last, estimated "
        "and retrained",
        "`snakemake --configfile presets/poisoned.yaml`, then `python -m bench.poisoned "
        "results/poisoned`",
        applications.poisoned,
    ),
    (
        "Better framed as an instrument: which domain last",
        "[orders of the literature](order_search.md#orders-of-the-literature): each domain last",
        "`make published`",
        applications.domain_last,
    ),
)


def answers(rows: Sequence[Row], first: str, records: Records) -> str:
    """Return a table of answers."""
    body = [
        [shown, counterpart, command, text_of(find, records)]
        for shown, counterpart, command, find in rows
    ]
    return table([first, "here", "regenerate", "what we find"], body)


def measured_share(records: Records) -> float | None:
    """Return the part of a unit that `corrected` needs in the longest measured window."""
    try:
        rows = [cell for cell in records.rows() if cell["values"]["group"] == "longer windows"]
        longest = max(rows, key=lambda cell: int(cell["steps"]), default=None)
    except MissingError:
        return None
    if longest is None:
        return None
    size: int = longest["ladder"]["selected"]
    unit: int = longest["config"]["window"]["unit_size"]
    return size / unit


def sections(records: Records) -> dict[str, str]:
    """Return the text of the parts of the page that quote measurements, by mark."""
    return {
        "claims": answers(CLAIMS, "the abstract says", records),
        "tables": answers(TABLES, "the published study shows", records),
        "objections": answers(OBJECTIONS, "objection", records),
    }


def scale(records: Records) -> str:
    """Return the text of the part `scale` of the page, which takes seconds."""
    return scale_table(measured_share(records))


def write() -> None:
    """Write the parts of the page that quote measurements."""
    for name, text in sections(Records()).items():
        replace_marked(PAGE, name, text)
