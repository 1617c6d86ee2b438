"""Pack chats into sequences through the chat template of a tokenizer; only answers are learnt."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.data.answer_places import Span, answer_places
from trainorder.data.messages import ASSISTANT, CALLS, calls_tools, is_learnt
from trainorder.data.packing import Packed, ShortfallError
from trainorder.data.tokenizer import Tokenizer
from trainorder.errors import UserError

Messages = list[dict[str, Any]]


def pack_chats(chats: Sequence[str], shape: tuple[int, int], tokenizer: Tokenizer) -> Packed:
    """Return one sequence for each chat, with padding after it.

    What an assistant message adds to the chat is learnt, with the special token that ends it,
    unless its `weight` is 0. All other tokens are context tokens (see `Corpus`). A chat that is
    longer than a sequence loses its end. If its first answer begins in the second half of the
    sequence, it loses its beginning, too.

    Args:
        chats: the JSON text of the messages of each chat.
        shape: number of sequences, and tokens per sequence (at least 2).
        tokenizer: has a chat template.

    Raises:
        ShortfallError: there are fewer chats than sequences.
        UserError: the template cannot render a chat, or changes an answer.

    """
    count, _ = shape
    if len(chats) < count:
        raise ShortfallError(count, len(chats))
    sequences = np.full(shape, ~tokenizer.end, dtype=np.int32)
    cut = 0
    for row, text in zip(sequences, chats, strict=False):
        tokens, learnt = encode_chat(json.loads(text), tokenizer)
        cut += _fill(row, tokens, learnt)
    return Packed(sequences, count, cut)


def encode_chat(messages: Messages, tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of a chat, int32, and which of them are learnt, bool.

    Raises:
        UserError: the template cannot render the chat, changes an answer, or omits tool calls.

    """
    _check_calls(messages, tokenizer)
    encode = _encode_marked if tokenizer.marks_answers else _encode_rendered
    tokens, learnt = encode(messages, tokenizer)
    if not learnt.any():
        raise UserError(f"{_place(messages)}: its assistant messages have no tokens; remove it")
    if learnt[0]:  # the first token of a sequence is never predicted
        tokens = np.concatenate([[tokenizer.end], tokens]).astype(np.int32)
        learnt = np.concatenate([[False], learnt])
    return tokens, learnt


def _check_calls(messages: Messages, tokenizer: Tokenizer) -> None:
    """Raise `UserError` if the template renders an answer as if it had no tool calls."""
    for number, message in enumerate(messages):
        if not (is_learnt(message) and calls_tools(message)):
            continue
        silent = {key: value for key, value in message.items() if key not in CALLS}
        try:
            text = tokenizer.render([*messages[:number], silent, *messages[number + 1 :]])
        except UserError:  # the template needs the calls
            continue
        if text == tokenizer.render(messages):
            raise UserError(
                f"{_place(messages)}: the chat template does not show the tool calls of message "
                f"{number}; use a template that does, or remove such chats"
            )


def _encode_marked(messages: Messages, tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and the marks of the template, without those of answers with `weight` 0."""
    tokens, learnt = tokenizer.encode_marked(messages)
    unlearnt = [
        number
        for number, message in enumerate(messages)
        if message["role"] == ASSISTANT and not is_learnt(message)
    ]
    if not unlearnt:
        return tokens, learnt
    text = tokenizer.render(messages)
    same, offsets = tokenizer.encode_rendered(text)
    spans = [_span(messages, number, text, tokenizer) for number in unlearnt]
    if not np.array_equal(same, tokens) or None in spans:
        raise UserError(
            f"{_place(messages)}: the chat template changes earlier messages, so those with "
            "`weight` 0 cannot be located; use another template, or remove such chats"
        )
    return tokens, learnt & ~_covered(offsets, [span for span in spans if span is not None])


def _span(messages: Messages, number: int, text: str, tokenizer: Tokenizer) -> Span | None:
    """Return the place of a whole message; None if the template looks ahead or back."""
    before = tokenizer.render(messages[:number]) if number else ""
    through = tokenizer.render(messages[: number + 1])
    if not (text.startswith(through) and through.startswith(before)):
        return None
    return len(before), len(through)


def _encode_rendered(messages: Messages, tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and marks by the places of the answers in the rendered text."""
    text = tokenizer.render(messages)
    tokens, offsets = tokenizer.encode_rendered(text)
    return tokens, _covered(offsets, _answers(messages, text, tokenizer))


def _covered(offsets: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """Return which tokens overlap a span, by their start and end in the text, (n, 2)."""
    # The offsets of some tokenizers omit the space before a word: it is added to the token.
    before = np.concatenate([[0], offsets[:-1, 1]])
    starts, ends = np.minimum(offsets[:, 0], before), offsets[:, 1]
    covered = np.zeros(len(offsets), dtype=bool)
    for start, end in spans:
        covered |= (ends > start) & (starts < end)
    return covered


def _answers(messages: Messages, text: str, tokenizer: Tokenizer) -> list[Span]:
    """Return start and end in `text` of what each learnt message adds to the chat."""
    spans, places = [], None
    for number, message in enumerate(messages):
        if not is_learnt(message):
            continue
        span = _added(messages, number, text, tokenizer)
        if span is None:  # the template looks ahead or back
            places = answer_places(messages, text, tokenizer) if places is None else places
            span = _content(messages, number, places)
        spans.append((span[0], _end(span[1], text, tokenizer)))
    return spans


def _content(messages: Messages, number: int, places: Mapping[int, Span]) -> Span:
    """Return the place of the content of a message, which is all that it must have."""
    if calls_tools(messages[number]):
        raise UserError(
            f"{_place(messages)}: the chat template changes earlier messages, so the tool calls of "
            f"message {number} cannot be located; use a template that marks answers with "
            "{% generation %}"
        )
    if number not in places:
        raise UserError(
            f"{_place(messages)}: the chat template changes the text of message {number}, "
            "so its answer cannot be located; write the messages as the template shows them"
        )
    return places[number]


def _end(place: int, text: str, tokenizer: Tokenizer) -> int:
    """Return the end of an answer with the special token that ends it.

    Some templates end an answer by the first token of the next message.
    """
    if any(text.endswith(token, 0, place) for token in tokenizer.special):
        return place
    token = next((token for token in tokenizer.special if text.startswith(token, place)), "")
    return place + len(token)


def _added(messages: Messages, number: int, text: str, tokenizer: Tokenizer) -> Span | None:
    """Return what a message adds to the chat before it; None if the template looks ahead or back.

    Blanks after the special token that ends the message are not included.
    """
    if number == 0:
        return None
    before = tokenizer.render(messages[:number], answers=True)
    through = tokenizer.render(messages[: number + 1])
    if not (text.startswith(through) and through.startswith(before)):
        return None
    stripped = through.rstrip()
    ends_special = any(stripped.endswith(token) for token in tokenizer.special)
    return len(before), max(len(before), len(stripped if ends_special else through))


def _fill(row: np.ndarray, tokens: np.ndarray, learnt: np.ndarray) -> bool:
    """Write a chat into `row` (length,) and return whether it was cut."""
    length = len(row)
    start = max(0, min(int(learnt.argmax()) - length // 2, len(tokens) - length))
    kept, mark = tokens[start : start + length], learnt[start : start + length]
    row[: len(kept)] = np.where(mark, kept, ~kept)
    return len(tokens) > length


def _place(messages: Messages) -> str:
    first = str(messages[0].get("content", ""))[:40]
    return f"corpus: the chat that begins with {first!r}"
