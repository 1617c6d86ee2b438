"""Seeds of the random numbers of a study."""

from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Seed


@dataclass(frozen=True, config=CLOSED)
class Seeds:
    """Seeds of the random numbers."""

    init: Seed = 0
    """Initialisation of the model."""
    data: Seed = 0
    """Assignment of documents to splits and of sequences to units, and the warm-up mix."""
    order: Seed = 0
    """The reference order and every random order."""
