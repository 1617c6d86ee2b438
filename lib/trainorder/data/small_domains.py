"""Domains with too little text, which a study of all domains does not use."""

from collections.abc import Callable, Mapping

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.tokenizer import Tokenizer

_LONG_TOKEN = 16  # characters: text with that many for each token has enough tokens


def small_domains(
    config: CorpusConfig,
    window: WindowConfig,
    index: Mapping[str, tuple[np.ndarray, np.ndarray]],
    read: Callable[..., list[str]],
    tokenizer: Tokenizer,
) -> list[str]:
    """Return the domains that do not fill the held-out sequences and one unit.

    None are returned if `corpus.domains` names the domains.

    Args:
        config: the section `corpus`.
        window: the section `window`, for the size of a unit.
        index: by domain the numbers and the characters of its documents, (documents,) each.
        read: maps numbers of documents to their texts.
        tokenizer: of the study.

    """
    if config.domains is not None:
        return []
    sequences = config.heldout_sequences + window.unit_size
    needed = sequences * config.sequence_length
    small = []
    for domain, (numbers, characters) in index.items():
        if config.one_sequence_each:
            is_small = len(numbers) < sequences
        elif characters.sum() > _LONG_TOKEN * needed:
            is_small = False
        else:  # each document is followed by an end of text
            tokens = tokenizer.encode(read(numbers.tolist()))
            is_small = sum(len(one) + 1 for one in tokens) < needed
        if is_small:
            small.append(domain)
    return small
