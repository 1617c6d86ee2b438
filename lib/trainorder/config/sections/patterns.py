"""A check of regular expressions, which several sections have."""

import re
from collections.abc import Sequence


def check_patterns(key: str, patterns: Sequence[str]) -> None:
    """Check that the patterns of a key are regular expressions.

    Raises:
        ValueError: one is not.

    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{key}: `{pattern}` is not a regular expression: {error}") from None
