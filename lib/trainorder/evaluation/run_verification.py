"""How much of the window of an existing run was verified, in words."""

from collections.abc import Mapping, Sequence

Intervals = Mapping[str, Sequence[Sequence[int]]]  # of `training.existing_run.window_states`


def verification_text(intervals: Intervals) -> str:
    """Return in one sentence which steps of the window are verified.

    Args:
        intervals: the field `existing_run` of `validation.json`.

    Examples:
        >>> intervals = {"verified": [[0, 4], [4, 6]], "stored": [], "unverified": [[6, 8]]}
        >>> verification_text(intervals)  # doctest: +ELLIPSIS
        '6 of 8 steps are verified: ...; the last 2 steps are not, because ... after step 6'

    """
    verified, stored, unverified = (
        sum(end - first for first, end in intervals[kind])
        for kind in ("verified", "stored", "unverified")
    )
    steps = verified + stored + unverified
    if not verified:
        return (
            f"none of the {steps} steps is verified, because the window has no checkpoint of the "
            "run after its first step: nothing shows that the study repeats the run, and its "
            "results hold for its own training from that checkpoint"
        )
    text = (
        f"{verified} of {steps} steps are verified: training from a checkpoint of the run arrived "
        "at the next one"
    )
    if stored:
        read = "1 is" if stored == 1 else f"{stored} are"
        text += f"; {read} read from checkpoints and not trained again"
    if unverified:
        last = "step is" if unverified == 1 else f"{unverified} steps are"
        text += (
            f"; the last {last} not, because the window has no checkpoint after step "
            f"{steps - unverified}"
        )
    return text
