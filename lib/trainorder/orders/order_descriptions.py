"""What the named orders of a study are, in words, for report and explorer."""

import re

_NAMED = {
    "reference": "the order in which the training came",
    "reversed": "the reference order from its end to its begin",
    "domain-sorted": "one domain after the other, by their names; within a domain as the reference",
    "domain-sorted-reversed": "one domain after the other, from the last name to the first",
    "interleaved": "the domains take turns, until their units are used up",
    "easy-to-hard": "by the loss on each unit before the window, the lowest first",
    "hard-to-easy": "by the loss on each unit before the window, the highest first",
    "folded": "four times from easy to hard, each time with every fourth unit",
    "zigzag": "as `folded`, but every second time from hard to easy",
    "short-to-long": "by the mean length of the documents in each unit, the shortest first",
    "long-to-short": "by the mean length of the documents in each unit, the longest first",
    "most-learnable-first": "by the fall of the loss on each unit over the window, the largest "
    "fall first",
    "most-learnable-last": "by the fall of the loss on each unit over the window, the largest "
    "fall last",
    "best-of-random": "searched: the best of many random orders, as estimated",
    "local-search": "searched: the best random order, improved by moves of single units",
    "assignment": "searched: each unit at the step where it does best, if effects of units add up",
    "pairwise-assignment": "searched: as `assignment`, with the effects of pairs of units",
    "genetic": "searched: random orders, crossed and mutated over generations",
    "gradient-balance": "the gradients so far stay near the mean gradient of all units",
    "herding": "the gradients so far stay near the mean gradient of all units, chosen greedily",
    "segment": "easy units first and hard ones last, in sections",
    "stair": "from easy to hard, with folds around the borders of three sections",
    "sawtooth": "from easy to hard, with folds around the borders of three sections",
    "typical-first": "by the distance of the gradient from the mean gradient, the nearest first",
    "typical-last": "by the distance of the gradient from the mean gradient, the nearest last",
    "paired-reversal": "the second half mirrors the first half with units of the same domain",
    "worst-found": "searched: the highest loss instead of the lowest",
}
_REFINED = "-local-search"


def order_description(name: str) -> str:
    """Return what an order of a study is; empty for an order of the user, or an unknown name.

    >>> order_description("block-4")
    'the reference order, shuffled within blocks of 4 units'
    >>> order_description("assignment-local-search").partition("; ")[2]
    'then improved by moves of single units'
    >>> order_description("mine")
    ''
    """
    if name in _NAMED:
        return _NAMED[name]
    if block := re.fullmatch(r"block-(\d+)", name):
        return f"the reference order, shuffled within blocks of {block[1]} units"
    if name.startswith("last-"):
        return f"whole domains in sequence, {name.removeprefix('last-')} last"
    start = name.removesuffix(_REFINED)
    if name.endswith(_REFINED) and start in _NAMED:
        return f"{_NAMED[start]}; then improved by moves of single units"
    return ""
