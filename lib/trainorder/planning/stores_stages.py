"""The stage that compares the codecs of the gradient table."""

from collections.abc import Iterator

from trainorder.compression.codecs import all_codecs
from trainorder.compression.comparison import LARGEST_BYTES
from trainorder.compression.comparison import ORDERS as COMPARED
from trainorder.compression.factored import Factored
from trainorder.compression.factored_int8 import FactoredInt8
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, Stage

# Products of a table with its factors per factored codec: sketched, projected, error estimated,
# decoded, and in inner products.
_FACTORED = 5


def stores_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stage `stores`, if the study has a table of the reference path."""
    if "reference" not in s.paths(lambda m: m.uses_table):
        return
    rows = min(s.reference_anchors, LARGEST_BYTES // (s.U * s.P * FLOAT))
    if rows < 2:  # the table is too large to compare
        yield Stage("stores", ("manifest",), files=("stores.json",))
        return
    steps = s.T if rows == s.reference_anchors else rows
    codecs = all_codecs((rows, s.U, s.P))
    stores, coded = 1 + len(codecs), rows * s.U
    inner = (codec.inner if isinstance(codec, FactoredInt8) else codec for codec in codecs)
    rank = sum(codec.rank for codec in inner if isinstance(codec, Factored))
    forwards = stores * min(COMPARED, sum(s.counts.values()) - 1) * s.D
    yield Stage(
        "stores",
        ("manifest",),
        counts={"losses": forwards * s.H},
        work={
            Operation("forward", s.H): forwards,
            Operation("hash"): HASHES_PER_STORED_BYTE * s.table_bytes("reference"),
            # encoded, decoded, compared with the table; replayed
            Operation("update"): stores * s.P * (3 * coded + COMPARED * steps),
            Operation("product"): s.P * coded * (coded + stores * s.U + _FACTORED * rank),
        },
        files=("stores.json",),
        rows=2.5 * rows * s.U,
    )
