"""Names of the metrics by which orders are compared."""

from collections.abc import Sequence


def metric_names(domains: Sequence[str]) -> list[str]:
    """Return the metric names: `heldout`, the mean over domains, then one for each domain."""
    return ["heldout", *(f"heldout/{domain}" for domain in domains)]
