"""The constraints that a configuration states."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.curriculum.constraints import Constraints, Quota


def configured_constraints(
    config: CurriculumConfig, reference: np.ndarray, domains: Sequence[str]
) -> Constraints:
    """Return the constraints of the section `curriculum`.

    Args:
        config: the section.
        reference: (T, k) schedule of the reference order.
        domains: domain of each of the U units.

    """
    return Constraints(
        reference,
        domains,
        {pin.unit: pin.step for pin in config.pinned},
        [Quota(**asdict(quota)) for quota in config.quotas],
        config.furthest,
    )
