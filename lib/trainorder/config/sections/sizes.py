"""What the size of an estimator means in a window."""

from trainorder.config.sections.window import WindowConfig


def residual_size(size: int, unit_size: int) -> int:
    """Return for which size of a subsample an estimator of this size reads residuals.

    Where units have one sequence it samples the units of a step. The residual of a unit is then its
    whole gradient, which a subsample of size 0 misses.
    """
    return size if unit_size > 1 else 0


def sampled_from(window: WindowConfig) -> int:
    """Return of how many a size takes a part: a unit's sequences, or a step's units of one."""
    return window.unit_size if window.unit_size > 1 else window.units_per_step
