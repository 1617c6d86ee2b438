"""The names of metrics as the page shows them."""

from trainorder.data.metrics import AVERAGED, MAIN_METRIC


def shown_metric(metric: str) -> str:
    """Return a metric in words.

    Args:
        metric: a loss, as in `validation.json`.

    Examples:
        >>> shown_metric("heldout"), shown_metric("heldout/code")
        ('held-out loss', 'held-out loss, code')
        >>> shown_metric("averaged_heldout/code")
        'held-out loss of averaged weights, code'

    """
    name, _, domain = metric.removeprefix(AVERAGED).partition("/")
    words = "held-out loss" if name == MAIN_METRIC else name
    words += " of averaged weights" if metric.startswith(AVERAGED) else ""
    return f"{words}, {domain}" if domain else words
