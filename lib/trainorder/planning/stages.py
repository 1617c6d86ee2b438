"""The passes, numbers and bytes of each stage of a study, computed from its configuration.

The counts are those that the jobs write to `costs/`. The work is counted in the operations that
`machine_speed` times: passes, and what replays and products of matrices add.
"""

from trainorder.planning.adjoint_stages import adjoint_stages
from trainorder.planning.application_stages import curriculum_stages, memorization_stages
from trainorder.planning.curvature_stages import curvature_stages
from trainorder.planning.estimate_stages import estimate_stage, ladder_stages
from trainorder.planning.expansion_stages import expansion_stages
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import Sizes
from trainorder.planning.stage import Stage
from trainorder.planning.stores_stages import stores_stages
from trainorder.planning.training_stages import training_stages
from trainorder.planning.truth_stages import truth_stages

_IN_THE_STORE = (
    *("reference", "table", "residuals", "barycentre", "curvature", "reduced"),
    "effects",
    "truth",  # of known runs
)


def stages(sizes: Sizes) -> list[Stage]:
    """Return the stages of a study, each after the stages that it waits for."""
    expansion = [
        *training_stages(sizes),
        *expansion_stages(sizes),
        *adjoint_stages(sizes),
    ]
    truth = list(truth_stages(sizes))
    recorded = truth[:1] if sizes.known_runs else []
    curvature = list(curvature_stages(sizes))
    return [
        *expansion,
        *truth,
        *curvature,
        _manifest([*expansion, *recorded, *curvature]),
        *ladder_stages(sizes),
        *(estimate_stage(sizes, estimator) for estimator in sizes.estimators),
        *stores_stages(sizes),
        *curriculum_stages(sizes),
        *memorization_stages(sizes),
    ]


def _manifest(stages_before: list[Stage]) -> Stage:
    stored = [stage for stage in stages_before if stage.name.split("/")[0] in _IN_THE_STORE]
    return Stage(
        "manifest",
        tuple(stage.name for stage in stored),
        work={Operation("hash"): sum(stage.bytes for stage in stored)},
        files=("store/manifest.json",),
    )
