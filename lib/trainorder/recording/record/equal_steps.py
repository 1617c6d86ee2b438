"""What all steps of a window must share, because a study keeps it constant."""

from collections.abc import Sequence

from trainorder.errors import UserError

ROUNDING = 1e-6  # relative difference up to which rates or factors count as equal


def check_shapes(
    where: str, shapes: Sequence[tuple[int, ...]], expected: Sequence[tuple[int, ...]]
) -> None:
    """Check the shapes (n, L) of micro-batches against those of the first step.

    Raises:
        UserError: they differ.

    """
    if list(shapes) != list(expected):
        raise UserError(
            f"{where}: has micro-batches of {_text(shapes)}, expected {_text(expected)} as at "
            "first; train without incomplete batches (drop_last) on sequences of one length, or "
            "choose a part of equal steps"
        )


def _text(shapes: Sequence[tuple[int, ...]]) -> str:
    return " + ".join(f"{n} x {length} tokens" for n, length in shapes)


def common_rate(where: str, rates: Sequence[float]) -> float:
    """Return the learning rate of all parameter groups.

    Raises:
        UserError: they have different ones.

    """
    if max(rates) - min(rates) > ROUNDING * max(rates):
        raise UserError(
            f"{where}: parameter groups have the learning rates "
            f"{', '.join(f'{rate:g}' for rate in rates)}; a study needs one for all"
        )
    return rates[0]
