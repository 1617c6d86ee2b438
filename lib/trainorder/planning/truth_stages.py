"""The stages that retrain orders: truth and proxy, and the truth of the applications."""

from collections.abc import Iterator
from dataclasses import replace

from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, Stage, Work
from trainorder.training.optimizer import MOMENTS


def truth_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stage `truth`, and the stages of the proxy if an estimator uses it."""
    orders, after = sum(s.counts.values()), after_reference(s)
    truth = truth_stage(
        s, "truth", after, orders, s.shards["truth"], s.R * s.E, s.followed(s.counts)
    )
    yield _recording(s, truth) if s.known_runs else truth
    proxies = [e for e in s.estimators if e.descriptor.training_stage]
    if not proxies:
        return
    batch, steps = s.window.sequences_per_step, s.window.warmup_steps
    yield Stage(
        "proxy_warm",
        ("corpus",),
        counts={"gradients": steps * batch},
        narrow=True,
        work={Operation("step", batch, narrow=True): steps},
        files=("proxy/warm.h5",),
        bytes=len(MOMENTS) * FLOAT * s.narrow_P,
        rows=8,
    )
    orders = sum(proxies[0].bounded(s.counts).values())
    yield Stage(
        "proxy_orders",
        ("proxy_warm", "orders"),
        proxies[0].retraining_shards(s.shards["truth"], s.orders.counts),
        {"losses": orders * s.E * s.D * s.H, "gradients": orders * s.T * batch},
        orders=orders,
        narrow=True,
        work={
            Operation("step", batch, narrow=True): orders * s.T,
            Operation("forward", s.H, narrow=True): orders * s.E * s.D,
        },
        files=("proxy/[0-9]*.h5",),
        bytes=8 * orders * (s.T + s.U),
        rows=8,
    )


def _recording(s: Sizes, truth: Stage) -> Stage:
    """Return `truth` where some of its trainings are recorded as known runs."""
    steps, stored = s.known_runs * s.T, s.known_runs * s.residual_bytes
    work = Work(float, truth.work)
    work[Operation("step", s.window.sequences_per_step)] -= steps
    work[Operation("update")] += steps * s.P
    for part in s.residual_parts:
        work[Operation("gradient", part)] += steps * s.k
    work[Operation("hash")] += HASHES_PER_STORED_BYTE * (stored + truth.jobs * s.residual_bytes)
    return replace(
        truth,
        after=(*truth.after, "residuals"),
        work=work,
        files=(*truth.files, "store/reference/known_runs-*.h5"),
        bytes=truth.bytes + stored,
        rows=truth.rows + len(s.residual_sizes) + 3,
    )


def after_reference(s: Sizes) -> tuple[str, ...]:
    """Return the stages that a truth of the order `reference` waits for."""
    return ("reference",) if s.config["run"] else ("orders",)


def truth_stage(
    s: Sizes,
    name: str,
    after: tuple[str, ...],
    orders: int,
    jobs: int,
    readouts: int,
    followed: int = 0,
    unit_losses: int = 0,
) -> Stage:
    """Return a stage that retrains orders.

    Args:
        s: the sizes of the study.
        name: of the stage.
        after: the stages that it waits for.
        orders: number of orders.
        jobs: number of jobs that share them.
        readouts: evaluations along the window, those of averaged weights included.
        followed: orders whose parameters are sketched along the window.
        unit_losses: losses of single units at the end, of all orders together.

    """
    folder = {"candidate_truth": "curriculum/", "position_truth": "memorization/"}.get(name, "")
    read = int("reference" in after)  # the order of an existing run is evaluated, not trained
    trained, losses = orders - read, read * s.T * s.k + unit_losses
    work = Work(float, {Operation("step", s.window.sequences_per_step): trained * s.T})
    evaluated = orders * readouts + s.stepwise_readouts(followed, s.R)
    work[Operation("forward", s.H)] += evaluated * s.D
    work[Operation("forward", s.S)] += losses
    work[Operation("hash")] += 2 * read * HASHES_PER_STORED_BYTE * s.path_bytes
    return Stage(
        name,
        after,
        jobs,
        {
            "losses": evaluated * s.D * s.H + losses * s.S,
            "gradients": trained * s.T * s.k * s.S,
        },
        orders=trained,
        work=work,
        files=(f"{folder}truth/*.h5",),
        bytes=outcome_bytes(s, orders, followed) + 8 * orders * (s.T + s.U),
        rows=16 + s.unfinished_means,
    )


def outcome_bytes(s: Sizes, orders: int, followed: int) -> int:
    """Return the bytes of the sketches of outcome files."""
    rows: int = s.config["sketch_rows"]
    return FLOAT * rows * (orders + followed * (s.T + 1))
