"""Where the contents of assistant messages are in a rendered chat, by marks in their place.

A search for the content of a short answer could find it elsewhere, for example in the name of a
role. So the chat is rendered a second time with a mark for each answer. The text around the marks
must be that of the chat.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainorder.data.messages import ASSISTANT
from trainorder.data.tokenizer import Tokenizer

Span = tuple[int, int]
# What templates do with the blanks around a content.
_TRIMS: tuple[Callable[[str], str], ...] = (str, str.strip, str.lstrip, str.rstrip)


def answer_places(
    messages: Sequence[Mapping[str, Any]], text: str, tokenizer: Tokenizer
) -> dict[int, Span]:
    """Return start and end in `text` of the content of each assistant message, by its number.

    The result is empty if the template shows other contents, or depends on them, so that the
    places are not certain. Messages without a content have no place.

    Args:
        messages: mappings with `role` and `content`.
        text: the rendered chat.
        tokenizer: has the chat template.

    Raises:
        UserError: the template rejects the marks.

    """
    contents = {
        number: str(message["content"])
        for number, message in enumerate(messages)
        if message["role"] == ASSISTANT and str(message.get("content", "")).strip()
    }
    marks = {number: f"\ue000{number}\ue001" for number in contents}
    marked = tokenizer.render(
        [
            {**message, "content": marks.get(number, message.get("content", ""))}
            for number, message in enumerate(messages)
        ]
    )
    between = _split(marked, list(marks.values()))
    if between is None:
        return {}
    for trim in _TRIMS:
        shown = [trim(content) for content in contents.values()]
        if text == "".join(
            part for pair in zip(between, [*shown, ""], strict=True) for part in pair
        ):
            return dict(zip(contents, _spans(between, shown), strict=True))
    return {}


def _split(text: str, marks: Sequence[str]) -> list[str] | None:
    """Return the parts of a text around its marks; None if it has not each of them once in turn."""
    parts, rest = [], text
    for mark in marks:
        part, found, rest = rest.partition(mark)
        if not found:
            return None
        parts.append(part)
    return None if any(mark in rest for mark in marks) else [*parts, rest]


def _spans(between: Sequence[str], shown: Sequence[str]) -> list[Span]:
    spans, place = [], 0
    for part, content in zip(between, shown, strict=False):
        start = place + len(part)
        place = start + len(content)
        spans.append((start, place))
    return spans
