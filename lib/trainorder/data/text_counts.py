"""What the readers of text removed or found: counts for `corpus.json` and lines for the log."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from trainorder.data.columns import listed
from trainorder.data.tokenizer import END_OF_TEXT

NULL, EMPTY, DUPLICATE, UNANSWERED = "null", "empty", "duplicate", "unanswered"
REMOVED = (NULL, EMPTY, DUPLICATE, UNANSWERED)  # why a document is removed
_CHAT_TOKEN = r"<\|[A-Za-z_][\w]*\|>"  # as most chat templates spell their special tokens
BYTE_ORDER_MARK = "\ufeff"
_SHOWN = 8  # special tokens in a line at most


@dataclass
class TextCounts:
    """Counts of a corpus that is built from text.

    Attributes:
        removed: by domain, the number of removed documents by reason (one of `REMOVED`).
        files: byte-order marks of files, which are removed, and CRLF line ends, which are replaced.
        documents: byte-order marks and CRLF line ends within documents, which are kept.
        special_tokens: how often the text of a special token appears in documents.
        small_domains: number of documents of each domain that is too small, and is not used.
        unlabelled: number of files without a domain column, by the domain that their name gives.
        origins: by domain, the paths of the files or folders that give it its name.
        empty_files: paths of files without documents.
        empty_answers: number of answers of chats that are learnt although they are empty.

    """

    removed: dict[str, Counter[str]] = field(default_factory=dict)
    files: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    special_tokens: Counter[str] = field(default_factory=Counter)
    small_domains: dict[str, int] = field(default_factory=dict)
    unlabelled: Counter[str] = field(default_factory=Counter)
    origins: dict[str, dict[str, None]] = field(default_factory=dict)
    empty_files: list[str] = field(default_factory=list)
    empty_answers: int = 0

    def remove(self, domain: str, reason: str) -> None:
        """Count a removed document."""
        self.removed.setdefault(domain, Counter())[reason] += 1

    def keep(self, text: str) -> None:
        """Count what a kept document contains."""
        self.documents["crlf"] += text.count("\r\n")
        self.documents["byte_order_marks"] += text.count(BYTE_ORDER_MARK)

    def spelt(self, texts: Iterable[str], special: Iterable[str]) -> None:
        """Count how often the text of each special token appears in documents.

        Args:
            texts: documents.
            special: the special tokens of the tokenizer. Tokens such as `<|im_end|>` are counted
                with any tokenizer.

        """
        tokens = sorted(special, key=len, reverse=True)
        pattern = re.compile("|".join([*map(re.escape, tokens), _CHAT_TOKEN]))
        first = {token[0] for token in tokens} | {"<"}
        for text in texts:
            if any(character in text for character in first):
                self.special_tokens.update(pattern.findall(text))

    def as_dict(self) -> dict[str, Any]:
        """Return the counts that concern all domains, as JSON values."""
        kinds = ("byte_order_marks", "crlf")
        return {
            "text": {
                kind: {"in_files": self.files[kind], "in_documents": self.documents[kind]}
                for kind in kinds
            },
            "special_tokens_in_text": dict(sorted(self.special_tokens.items())),
            "small_domains": self.small_domains,
            "empty_files": self.empty_files,
            "empty_answers": self.empty_answers,
        }

    def removed_from(self, domain: str) -> dict[str, int]:
        """Return how many documents of a domain were removed for each reason."""
        return {reason: self.removed.get(domain, Counter())[reason] for reason in REMOVED}

    def lines(self, *, chats: bool = False) -> Iterator[str]:
        """Yield what was removed or may be a mistake, one line each; nothing for clean text.

        Args:
            chats: whether the documents are chats.

        """
        yield from self._lines_of_domains()
        if self.files["byte_order_marks"] or self.files["crlf"]:
            yield (
                f"removed {self.files['byte_order_marks']} byte-order marks and replaced "
                f"{self.files['crlf']} CRLF line ends of files"
            )
        for kind, name in (("byte_order_marks", "byte-order marks"), ("crlf", "CRLF line ends")):
            if self.documents[kind]:
                yield f"documents contain {self.documents[kind]} {name}, which are kept"
        if self.empty_files:
            names = listed(self.empty_files, whole=True)
            yield f"files without documents: {len(self.empty_files)}: {names}"
        if self.empty_answers:
            yield f"answers without text, which are learnt as such: {self.empty_answers}"
        if self.special_tokens:
            yield self._line_of_special_tokens(chats)

    def _lines_of_domains(self) -> Iterator[str]:
        if self.unlabelled:
            yield (
                f"files without a domain column: {self.unlabelled.total()}; their domains are "
                f"{listed(self.unlabelled, whole=True)}, after the files or folders"
            )
        for domain, origins in self.origins.items():
            if len(origins) > 1:
                yield (
                    f"{domain}: is the domain of several folders or files: "
                    f"{listed(origins, whole=True)}; if they are different domains, rename them"
                )
        for domain, counter in self.removed.items():
            counts = ", ".join(f"{count} {reason}" for reason, count in counter.items())
            yield f"{domain}: removed documents: {counts}"
        for domain, count in self.small_domains.items():
            yield (
                f"{domain}: not used: its documents ({count}) do not fill the held-out sequences "
                "and one unit; add text, or list the domains to use in corpus.domains"
            )

    def _line_of_special_tokens(self, chats: bool) -> str:
        counts = ", ".join(f"{token} {n}" for token, n in self.special_tokens.most_common(_SHOWN))
        if chats:
            return (
                f"messages spell out special tokens: {counts}; those of the tokenizer are encoded "
                "as if the chat template had written them; remove them from the messages if they "
                "are no part of a chat"
            )
        remedy = "for chats, use corpus.messages_column"
        if [*self.special_tokens] == [END_OF_TEXT]:
            remedy = "if it separates documents, set corpus.txt_documents: end_of_text"
        return (
            f"documents spell out special tokens, which are encoded as plain text: {counts}; "
            f"{remedy}"
        )
