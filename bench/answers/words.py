"""Words that several answers about the published study share."""

from collections.abc import Callable, Mapping
from typing import Any

from bench.answers.records import MissingError, Records
from bench.page import NOT_MEASURED, interval
from trainorder.config.estimator_names import method_of

PUBLISHED, SECOND_ORDER = "fut@reference", "fut++@reference"

Record = Mapping[str, Any]
Find = Callable[[Records], str]


def text_of(find: Find, records: Records) -> str:
    """Return a finding, or that it is not measured."""
    try:
        return find(records)
    except MissingError:
        return NOT_MEASURED


def short(name: str) -> str:
    """Return the method of an estimator, as code.

    >>> short("corrected-runs24@reference")
    '`corrected`'
    """
    return f"`{method_of(name).name}`"


def rank(entry: Record) -> str:
    """Return the order-LDS of an estimator with its interval and number of orders."""
    return f"{interval(entry['order_lds'])}, n = {entry['order_lds']['n']}"
