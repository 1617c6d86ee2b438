"""The tokenizer of a study: a byte-level BPE trained on warm-up text, or an existing one."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from os.path import isdir
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from trainorder.data.hub_commit import hub_commit
from trainorder.errors import UserError, not_loaded
from trainorder.storage.formats import write_text

END_OF_TEXT = "<|endoftext|>"


class _FixedDate(datetime):
    """A fixed date for chat templates that write the date, so that results do not depend on it."""

    @classmethod
    def now(cls, tz: Any = None) -> "_FixedDate":
        return cls(2024, 7, 26, tzinfo=tz)


@dataclass(frozen=True)
class Tokenizer:
    """Encode text as token numbers and decode them.

    Attributes:
        backend: a `tokenizers.Tokenizer`.
        end: the number of the end-of-text token.
        template: renders messages as text, like `apply_chat_template` of transformers; None if the
            tokenizer has no chat template.
        marks_answers: whether the chat template marks what is learnt (`{% generation %}`).
        commit: the commit of its repository on the hub; None if there is none.

    """

    backend: Any
    end: int
    template: Callable[..., Any] | None = None
    marks_answers: bool = False
    commit: str | None = None

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

    @cached_property
    def special(self) -> tuple[str, ...]:
        """The special tokens, the longest first."""
        added = self.backend.get_added_tokens_decoder().values()
        names = [token.content for token in added if token.special and token.content.strip()]
        return tuple(sorted(names, key=len, reverse=True))

    def render(self, messages: Sequence[Mapping[str, Any]], *, answers: bool = False) -> str:
        """Return the text of a chat, by the chat template.

        Args:
            messages: mappings with `role` and `content`.
            answers: whether to end with the beginning of an assistant message.

        Raises:
            UserError: there is no template, or it rejects the messages.

        """
        return str(self._templated(messages, tokenize=False, add_generation_prompt=answers))

    def encode_marked(self, messages: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens (n,) int32 of a chat, and bool marks of those that are learnt.

        Raises:
            UserError: the chat template rejects the messages.

        """
        encoded = self._templated(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        return np.array(encoded["input_ids"], np.int32), np.array(encoded["assistant_masks"], bool)

    def _templated(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> Any:
        if self.template is None:
            raise UserError(
                "corpus.messages_column: the tokenizer has no chat template; set corpus.tokenizer "
                "to one that has"
            )
        try:
            self.backend.encode_special_tokens = False
            with patch("transformers.utils.chat_template_utils.datetime", _FixedDate):
                return self.template(list(messages), **options)
        except Exception as error:  # a template raises errors of jinja, and of Python
            first = str(messages[0].get("content", ""))[:40]
            raise UserError(
                f"corpus: the chat that begins with {first!r}: rejected by the chat template: "
                f"{error}"
            ) from None

    def encode_rendered(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens (n,) int32 of a rendered chat, and start and end (n, 2) in the text.

        Special tokens in the text are encoded as such. None are added.
        """
        self.backend.encode_special_tokens = False
        encoded = self.backend.encode(text, add_special_tokens=False)
        offsets = np.array(encoded.offsets, dtype=np.int64).reshape(-1, 2)
        return np.array(encoded.ids, dtype=np.int32), offsets

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
    """Return the tokenizer in a local folder or with a name on the hub, or `name@revision`.

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
    commit = None
    try:
        if file.is_file() and not (Path(name) / "tokenizer_config.json").is_file():
            loaded = load_file(tokenizer_file=str(file))
        else:
            repository, _, revision = name.partition("@") if not isdir(name) else (name, "", "")
            commit = hub_commit(repository, revision or None, "tokenizer_config.json")
            loaded = transformers.AutoTokenizer.from_pretrained(
                repository, revision=commit or revision or "main", trust_remote_code=False
            )
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
    template = getattr(loaded, "chat_template", None)
    if template is None:
        return Tokenizer(backend, int(end), commit=commit)
    marks = re.search(r"\{%-?\s*generation", str(template)) is not None
    return Tokenizer(backend, int(end), loaded.apply_chat_template, marks, commit)


def _is_without_text(loaded: Any, backend: Any) -> bool:
    """Return whether a tokenizer has no tokens for text.

    For the folder of a model without tokenizer files, transformers creates a tokenizer that has
    only special tokens and, for some models, a token for the space.
    """
    special = {token.content for token in loaded.added_tokens_decoder.values()}
    return len(set(backend.get_vocab(with_added_tokens=True)) - special) <= 1
