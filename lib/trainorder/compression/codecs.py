"""The codecs that a study compares: each kind at several sizes."""

from trainorder.compression.anchor_codec import AnchorCodec
from trainorder.compression.codec import Codec, rank_within
from trainorder.compression.dense import DenseCodec
from trainorder.compression.factored_int8 import FactoredInt8
from trainorder.compression.float16 import Float16
from trainorder.compression.int8 import Int8
from trainorder.compression.jl import JL, LEAST_SQUARES, TRANSPOSE
from trainorder.compression.low_rank import LowRank
from trainorder.compression.range_finder import RangeFinder
from trainorder.compression.single_pass import SinglePass, sketch_sizes
from trainorder.compression.sparse_jl import SparseProjection

PUBLISHED_RATIO = 32  # 13.1 TB to 410 GB by random projection (Yang et al. 2025, second-hand)
RATIOS = (8, PUBLISHED_RATIO, 128)  # bytes of the dense over bytes of the compressed table
SHARES = (2, 4, 8, 16)  # steps of the table over number of anchors


def all_codecs(table_shape: tuple[int, int, int]) -> list[Codec]:
    """Return every codec at every size that fits a table of shape (T, U, P), without duplicates."""
    return [
        DenseCodec(),
        Float16(),
        Int8(),
        *_anchors(table_shape[0]),
        *(JL(ratio, read) for read in (TRANSPOSE, LEAST_SQUARES) for ratio in RATIOS),
        *(SparseProjection(ratio) for ratio in RATIOS),
        *_factored(table_shape),
    ]


def _anchors(steps: int) -> list[Codec]:
    counts = sorted({max(2, steps // share) for share in SHARES}, reverse=True)
    fitting = [count for count in counts if count < steps]
    return [
        *(AnchorCodec(count) for count in fitting),
        *(AnchorCodec(count, Int8()) for count in fitting),
    ]


def _factored(table_shape: tuple[int, int, int]) -> list[Codec]:
    steps, units, size = table_shape
    ranks = sorted({rank_within(table_shape, ratio) for ratio in RATIOS} - {0})[::-1]
    passing = [r for r in ranks if sketch_sizes(r)[1] <= min(steps * units, size)]
    return [
        *(LowRank(rank) for rank in ranks),
        *(FactoredInt8(LowRank(rank)) for rank in ranks[:2]),
        *(RangeFinder(rank) for rank in ranks),
        *(SinglePass(rank) for rank in reversed(passing)),
        *(FactoredInt8(SinglePass(rank)) for rank in passing[:1]),
    ]
