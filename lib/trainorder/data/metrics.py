"""Names of the metrics that orders are judged by."""

from collections.abc import Sequence


def metric_names(domains: Sequence[str]) -> list[str]:
    """Return the names of the metrics: the mean over domains, then one a domain."""
    return ["heldout", *(f"heldout/{domain}" for domain in domains)]
