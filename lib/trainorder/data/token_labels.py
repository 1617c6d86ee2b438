"""The labels of a corpus of tokens: of a token file, a memory map or a record."""

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.recorded_corpus import is_record, recorded_domains, recorded_labels
from trainorder.data.token_maps import token_map_domains, token_map_labels
from trainorder.data.tokens import Labels, read_labels


def token_labels(config: CorpusConfig, window: WindowConfig) -> Labels:
    """Return the labels of a corpus of source `tokens`.

    Raises:
        UserError: the file or the record has none, or they are invalid.

    """
    if config.is_token_map:
        return token_map_labels(config, window)
    return recorded_labels(config, window) if is_record(config) else read_labels(config.files[0])


def token_domains(config: CorpusConfig) -> list[str]:
    """Return the domains of a corpus of source `tokens`.

    Raises:
        UserError: the file or the record has none, or they are invalid.

    """
    if config.is_token_map:
        return token_map_domains(config)
    return recorded_domains(config) if is_record(config) else read_labels(config.files[0]).domains
