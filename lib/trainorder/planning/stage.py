"""A stage of a study, and the units in which its work is counted."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainorder.planning.machine_speed import Operation

Work = defaultdict[Operation, float]
# Measured on the default study (the mean of two machines): bytes hashed in the time that one byte
# of the store is written or read, with its seal and checksums.
HASHES_PER_STORED_BYTE = 4
STATE_PASSES = 3  # how often the states of a training are stored: saved, read again, published


@dataclass(frozen=True)
class Stage:
    """What one stage does, all its jobs together.

    Attributes:
        name: as in `costs.json`.
        after: the stages that its jobs wait for.
        jobs: number of jobs that share the work.
        counts: sequences that pass through the model, by kind, as the jobs count them.
        orders: number of orders that are trained or estimated.
        narrow: whether the model is the proxy.
        work: number of operations of each kind.
        files: patterns of the files that it writes, relative to the results of the study.
        bytes: of these files.
        scratch: bytes on disk that its jobs need until they end.
        rows: parameter vectors (P,) that a job holds at once, in memory or in temporary files.

    """

    name: str
    after: tuple[str, ...] = ()
    jobs: int = 1
    counts: Mapping[str, int] = field(default_factory=dict)
    orders: int = 0
    narrow: bool = False
    work: Mapping[Operation, float] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    bytes: int = 0
    scratch: int = 0
    rows: float = 0.0
