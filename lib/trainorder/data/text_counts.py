"""What the readers of text removed or found: counts for `corpus.json` and lines for the log."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from trainorder.data.tokenizer import END_OF_TEXT

NULL, EMPTY, DUPLICATE, UNANSWERED = "null", "empty", "duplicate", "unanswered"
REMOVED = (NULL, EMPTY, DUPLICATE, UNANSWERED)  # why a document is removed
_CHAT_TOKEN = r"<\|[A-Za-z_][\w]*\|>"  # as most chat templates spell their special tokens
BYTE_ORDER_MARK = "\ufeff"
_SHOWN = 8  # names in a line at most


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

    """

    removed: dict[str, Counter[str]] = field(default_factory=dict)
    files: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    special_tokens: Counter[str] = field(default_factory=Counter)
    small_domains: dict[str, int] = field(default_factory=dict)
    unlabelled: Counter[str] = field(default_factory=Counter)

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
        }

    def removed_from(self, domain: str) -> dict[str, int]:
        """Return how many documents of a domain were removed for each reason."""
        return {reason: self.removed.get(domain, Counter())[reason] for reason in REMOVED}

    def lines(self) -> Iterator[str]:
        """Yield what was removed or may be a mistake, one line each; nothing for clean text."""
        if self.unlabelled:
            shown = ", ".join(list(self.unlabelled)[:_SHOWN])
            rest = len(self.unlabelled) - _SHOWN
            yield (
                f"files without a domain column: {self.unlabelled.total()}; their domains are "
                f"{shown}{f' and {rest} more' if rest > 0 else ''}, after the files or folders"
            )
        for domain, counter in self.removed.items():
            counts = ", ".join(f"{count} {reason}" for reason, count in counter.items())
            yield f"{domain}: removed documents: {counts}"
        for domain, count in self.small_domains.items():
            yield (
                f"{domain}: not used: its documents ({count}) do not fill the held-out sequences "
                "and one unit; add text, or list the domains to use in corpus.domains"
            )
        if self.files["byte_order_marks"] or self.files["crlf"]:
            yield (
                f"removed {self.files['byte_order_marks']} byte-order marks and replaced "
                f"{self.files['crlf']} CRLF line ends of files"
            )
        for kind, name in (("byte_order_marks", "byte-order marks"), ("crlf", "CRLF line ends")):
            if self.documents[kind]:
                yield f"documents contain {self.documents[kind]} {name}, which are kept"
        if self.special_tokens:
            counts = ", ".join(
                f"{token} {n}" for token, n in self.special_tokens.most_common(_SHOWN)
            )
            remedy = "for chats, use corpus.messages_column"
            if [*self.special_tokens] == [END_OF_TEXT]:
                remedy = "if it separates documents, set corpus.txt_documents: end_of_text"
            yield (
                f"documents spell out special tokens, which are encoded as plain text: {counts}; "
                f"{remedy}"
            )
