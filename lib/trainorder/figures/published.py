"""What the published study shows (Yang et al. 2025), as far as it is known.

Figures of this project name what they answer by the keys of `PUBLISHED`. The page
`docs/published.md` has the answers with numbers.
"""

PAPER = (
    "Yang et al. (2025), Estimating the Effects of Sample Training Orders for Large Language "
    "Models without Retraining"
)
PAPER_ADDRESS = "https://arxiv.org/abs/2505.22042"
PUBLISHED = {
    "abstract: order": "The order of training samples matters",
    "abstract: efficiency": "The estimate is efficient, retraining is not",
    "table 1": "Absolute difference of perplexity by T",
    "table 2": "Curricula by a genetic algorithm",
    "figure 3": "Heat maps of memorization",
    "figure 7": "Perplexity along training",
    "table 4": "Bytes of the terms, and projected",
}


def published_text(key: str) -> str:
    """Return a published item as one text, with its table or figure.

    >>> published_text("table 1")
    'Absolute difference of perplexity by T (table 1)'
    >>> published_text("abstract: order")
    'The order of training samples matters (abstract)'
    """
    return f"{PUBLISHED[key]} ({key.partition(':')[0]})"
