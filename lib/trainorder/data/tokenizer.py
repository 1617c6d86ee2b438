"""The tokenizer of a study: a byte-level BPE trained on warm-up text, or an existing one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.errors import UserError, not_loaded
from trainorder.storage.formats import write_text

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class Tokenizer:
    """Encode text as token numbers and decode them.

    Attributes:
        backend: a `tokenizers.Tokenizer`.
        end: the number of the end-of-text token.

    """

    backend: Any
    end: int

    @property
    def vocabulary(self) -> int:
        """The largest token number plus one, including added tokens."""
        return int(max(self.backend.get_vocab(with_added_tokens=True).values())) + 1

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the tokens (tokens,) int32 of each text, without special tokens.

        The name of a special token in a text is encoded as plain text.
        """
        self.backend.encode_special_tokens = True
        encoded = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int32) for one in encoded]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of `tokens` without special tokens."""
        return str(self.backend.decode([int(token) for token in tokens]))

    def save(self, path: str | Path) -> None:
        """Publish `tokenizer.json`."""
        write_text(path, self.backend.to_str(pretty=True))


def train(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a byte-level BPE of at most `vocabulary` tokens, trained on `texts`.

    The end-of-text token and all 256 bytes are tokens, so any text can be encoded. Training on
    little text gives fewer tokens.
    """
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, trainers

    backend: Any = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return Tokenizer(backend, backend.token_to_id(END_OF_TEXT))


def load(name: str) -> Tokenizer:
    """Return the tokenizer in a local folder or with a name on the hub.

    Raises:
        UserError: it cannot be loaded, is incomplete, or has no end-of-text token.

    """
    import transformers

    key = "corpus.tokenizer (or model.source, if it is that of the model)"
    where = f"{key}: {name}"
    missing_error = UserError(
        f"{where}: has no tokenizer.json; save a fast tokenizer in it, or name one in "
        "corpus.tokenizer"
    )
    load_file: Any = transformers.PreTrainedTokenizerFast
    file = Path(name) / "tokenizer.json"
    try:
        if file.is_file() and not (Path(name) / "tokenizer_config.json").is_file():
            loaded = load_file(tokenizer_file=str(file))
        else:
            loaded = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # transformers, tokenizers and the hub client raise various types
        if Path(name).is_dir() and not file.is_file():
            raise missing_error from None
        raise not_loaded(key, name, error) from None
    backend = getattr(loaded, "backend_tokenizer", None)
    if backend is None or _is_without_text(loaded, backend):
        raise missing_error
    end = loaded.eos_token_id
    if end is None:
        end = backend.token_to_id(END_OF_TEXT)
    if end is None:
        raise UserError(f"{where}: has no end-of-text token; set eos_token in its configuration")
    backend.no_truncation()
    backend.no_padding()
    return Tokenizer(backend, int(end))


def _is_without_text(loaded: Any, backend: Any) -> bool:
    """Return whether a tokenizer has no tokens for text.

    For the folder of a model without tokenizer files, transformers creates a tokenizer that has
    only special tokens and, for some models, a token for the space.
    """
    special = {token.content for token in loaded.added_tokens_decoder.values()}
    return len(set(backend.get_vocab(with_added_tokens=True)) - special) <= 1
