"""The stage that compares the codecs of the gradient table and of residuals."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from trainorder.compression.codecs import all_codecs
from trainorder.compression.comparison import LARGEST_BYTES
from trainorder.compression.comparison import ORDERS as COMPARED
from trainorder.compression.factored import Factored
from trainorder.compression.factored_int8 import FactoredInt8
from trainorder.compression.residual_stores import CODECS
from trainorder.config.sections.sizes import residual_size
from trainorder.planning.estimate_stages import evaluated_in_a_step, gradients_of_replays
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, Stage, Work

# Products of a table with its factors per factored codec: sketched, projected, error estimated,
# decoded, and in inner products.
_FACTORED = 5


def stores_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stage `stores`, if the study has a table of the reference path."""
    if "reference" not in s.paths(lambda m: m.uses_table):
        return
    anchors = min(s.reference_anchors, LARGEST_BYTES // (s.U * s.P * FLOAT))
    work = Work(float)
    losses, rows = 0, 0.0
    if anchors > 1:  # else the table is too large to compare
        losses, rows = _table(s, anchors, work), 2.5 * anchors * s.U
    counts = Counter({"losses": losses * s.H})
    if s.smallest_corrected_size is not None:
        counts.update(_residuals(s, s.smallest_corrected_size, work))
        rows = max(rows, 2 * s.T * s.k + 5 * _orders(s))
    yield Stage(
        "stores",
        ("manifest",),
        counts={kind: count for kind, count in counts.items() if count},
        work=work,
        files=("stores.json",),
        rows=rows,
    )


def _orders(s: Sizes) -> int:
    """Return how many orders are replayed from each store."""
    return min(COMPARED, sum(s.counts.values()) - 1)


def _table(s: Sizes, anchors: int, work: Work) -> int:
    """Add the work of comparing stores of a table; return the number of held-out losses."""
    steps = s.T if anchors == s.reference_anchors else anchors
    codecs = all_codecs((anchors, s.U, s.P))
    stores, coded = 1 + len(codecs), anchors * s.U
    inner = (codec.inner if isinstance(codec, FactoredInt8) else codec for codec in codecs)
    rank = sum(codec.rank for codec in inner if isinstance(codec, Factored))
    forwards = stores * _orders(s) * s.D
    work[Operation("forward", s.H)] += forwards
    work[Operation("hash")] += HASHES_PER_STORED_BYTE * s.table_bytes("reference")
    # encoded, decoded, compared with the table; replayed
    work[Operation("update")] += stores * s.P * (3 * coded + COMPARED * steps)
    work[Operation("product")] += s.P * coded * (coded + stores * s.U + _FACTORED * rank)
    return forwards


def _residuals(s: Sizes, size: int, work: Work) -> Counter[str]:
    """Add the work of comparing stores of residuals, and return the passes."""
    estimates = 1 + len(CODECS)
    visits, evaluated = s.T * s.k, evaluated_in_a_step(s, size)
    parts = sorted({residual_size(size, s.S), s.S} - {0})
    for first, last in pairwise([0, *parts]):
        work[Operation("gradient", last - first)] += visits
    replayed = estimates * round(gradients_of_replays(s, _orders(s), s.T))
    forwards = estimates * _orders(s) * s.D
    work[Operation("gradient", evaluated)] += replayed
    work[Operation("forward", s.H)] += forwards
    work[Operation("update")] += s.P * (6 * visits + 2 * estimates * _orders(s) * s.T)
    return Counter(gradients=visits * s.S + replayed * evaluated, losses=forwards * s.H)
