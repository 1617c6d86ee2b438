"""The stages that read the text and train: corpus, warm, orders, reference, predictability."""

from collections.abc import Iterator

from trainorder.config.sections.run import RunConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.evaluation import perturbed_training
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, STATE_PASSES, Stage
from trainorder.training.existing_run.checkpoint_files import retrained_spans, window_checkpoints
from trainorder.training.existing_run.loss_scale import detected_steps
from trainorder.training.optimizer import MOMENTS


def training_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stages `corpus`, `warm`, `orders`, `reference` and `predictability`."""
    batch, length = s.window.sequences_per_step, s.corpus.sequence_length
    # Of an existing run, only the steps without a checkpoint and a few as a check are retrained.
    run = RunConfig(**s.config["run"]) if s.config["run"] else None
    warmup = 0 if run else s.window.warmup_steps
    steps = _retrained_steps(run, s.window) if run else s.T
    detected = _detected_steps(run, s.window) if run else 0
    sequences = warmup * batch + s.U * s.S + s.D * s.H
    files = ("corpus.h5", "corpus.json", "tokenizer/*")
    yield Stage("corpus", files=files, bytes=FLOAT * sequences * length)
    yield Stage(
        "warm",
        ("corpus",),
        counts={"gradients": (warmup + detected) * batch},
        work={Operation("step", batch): warmup + detected},
        files=("store/warm.h5",),
        bytes=len(MOMENTS) * FLOAT * s.P,
        rows=8,
    )
    yield Stage(
        "orders",
        ("warm",),
        counts={"losses": s.U * s.S},
        work={Operation("forward", s.S): s.U},
        files=("orders.json",),
        rows=8,
    )
    yield Stage(
        "reference",
        ("orders",),
        counts={"gradients": steps * batch},
        work={
            Operation("step", batch): steps,
            Operation("hash"): STATE_PASSES * HASHES_PER_STORED_BYTE * s.path_bytes,
        },
        files=("store/reference/path.h5",),
        bytes=s.path_bytes,
        scratch=s.path_bytes,
        rows=12,
    )
    yield _predictability(s, existing=run is not None)


def _retrained_steps(run: RunConfig, window: WindowConfig) -> int:
    """Return the number of steps of an existing run that are trained again."""
    steps = window_checkpoints(run.checkpoints, window)
    return sum(last - first for first, last in retrained_spans(steps, window.horizon))


def _detected_steps(run: RunConfig, window: WindowConfig) -> int:
    """Return the number of steps that detect the loss scale, if it is 1."""
    return detected_steps(window_checkpoints(run.checkpoints, window), run.loss_scale)


def _predictability(s: Sizes, existing: bool) -> Stage:
    """Return the stage `predictability`, which trains the reference again if it is `existing`."""
    steps = perturbed_training.trained_steps(s.T, reference=existing)
    trainings = 4 * perturbed_training.DIRECTIONS + (3 if existing else 0)
    kept = trainings * len(MOMENTS) * FLOAT * s.P
    read = 0 if existing else 2 * s.path_bytes  # for the name of the kept states, and checked
    return Stage(
        "predictability",
        ("orders",) if existing else ("orders", "reference"),
        counts={"gradients": steps * s.window.sequences_per_step},
        work={
            Operation("gradient", s.S): steps * s.k,
            Operation("update"): steps * s.P,
            Operation("hash"): HASHES_PER_STORED_BYTE * (kept + read),
        },
        files=("predictability.json",),
        scratch=kept,
        rows=17,
    )
