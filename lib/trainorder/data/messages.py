"""Chats: the messages of a row as JSON text, in one form for the chat template of a tokenizer.

A chat is a list of messages, each with a `role` and its `content`. The keys `from` and `value` of
other data sets (with the roles human and gpt) mean the same. Only assistant messages are learnt,
except those with `weight: 0` or `train: false`.
"""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from trainorder.errors import UserError
from trainorder.storage.formats import json_value

ASSISTANT = "assistant"
CALLS = ("tool_calls", "function_call")  # keys of a message that calls tools
_ROLES = {
    "human": "user",
    **dict.fromkeys(("gpt", "chatgpt", "bot", "model", "ai"), ASSISTANT),
    **{role: role for role in ("system", "user", "tool", ASSISTANT)},
}
_WEIGHT, _TRAIN = "weight", "train"  # keys that tell whether a message is learnt
_LEARNT: dict[str, dict[Any, bool]] = {
    _WEIGHT: {0: False, 1: True},
    _TRAIN: {False: False, True: True},
}
_READ = ("role", "from", "content", "value", *CALLS, _WEIGHT, _TRAIN)  # keys that this module reads


def messages_text(where: str, value: Any, column: str) -> str | None:
    """Return the messages of a row as JSON text; None for none at all.

    Keys without a value are omitted: tables add them to messages that have no such key, and chat
    templates test whether a key exists. Keys whose values JSON does not have, such as dates, are
    omitted, too. Only `content` always exists, because templates join it with other texts; it is
    empty in a message that only calls tools. A message that is not learnt has `weight` 0.

    Args:
        where: the place of the row, for messages.
        value: the list of messages, or its JSON text, as tables hold it.
        column: the name of its column.

    Raises:
        UserError: it is not a list of messages, or a message has no content.

    """
    if isinstance(value, str):
        try:
            value = json_value(f"{where}: column `{column}`", value)
        except (json.JSONDecodeError, RecursionError):
            value = 0
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return None
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise UserError(
            f"{where}: column `{column}` is not a list of messages; write "
            '[{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]'
        )
    messages = [_message(f"{where}: message {i}", one) for i, one in enumerate(value)]
    return json.dumps(messages, ensure_ascii=False, allow_nan=False) if messages else ""


def _message(where: str, message: Mapping[str, Any]) -> dict[str, Any]:
    kept = _json_values(where, message)
    for key, other in (("role", "from"), ("content", "value")):
        if key not in kept and other in kept:
            kept[key] = kept.pop(other)
    role = kept.get("role")
    if not isinstance(role, str):
        raise UserError(f"{where}: has no `role`; the keys are {', '.join(map(str, message))}")
    if "content" not in kept and not calls_tools(kept):
        raise UserError(
            f"{where}: has no `content`, `value` or `tool_calls`; the keys with a value are "
            f"{', '.join(kept)}; add the text of the message, which may be empty"
        )
    kept["role"] = _ROLES.get(role.strip().lower(), role)
    kept["content"] = _content(where, kept.get("content", ""))
    if not _is_weighted(where, kept) and kept["role"] == ASSISTANT:
        kept[_WEIGHT] = 0
    return kept


def _json_values(where: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a message that have a value of JSON; NaN is none."""
    kept = {}
    for key, value in message.items():
        try:
            plain = _plain(value)
        except TypeError as error:
            if key in _READ:
                raise UserError(f"{where}: `{key}` holds {error}; write it as text") from None
            continue
        if plain is not None:
            kept[key] = plain
    return kept


def _plain(value: Any) -> Any:
    """Return `value` with None for NaN; raise `TypeError` for a value that JSON does not have."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    raise TypeError(f"a value of type {type(value).__name__}")


def _is_weighted(where: str, message: dict[str, Any]) -> bool:
    """Return whether the loss counts a message, and remove the keys that tell it."""
    weighted = True
    for key, meanings in _LEARNT.items():
        if key in message:
            value = message.pop(key)
            if not isinstance(value, int | float) or value not in meanings:
                raise UserError(
                    f"{where}: `{key}` is {value!r}; expected "
                    f"{' or '.join(json.dumps(one) for one in meanings)}"
                )
            weighted &= meanings[value]
    return weighted


def _content(where: str, content: Any) -> str:
    """Return the text of a message, which some data sets write as a list of parts."""
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise UserError(f"{where}: `content` is not text; only chats of text are supported")
    return content


def is_learnt(message: Mapping[str, Any]) -> bool:
    """Return whether the loss counts a message: an answer without `weight` 0."""
    return message["role"] == ASSISTANT and message.get(_WEIGHT) != 0


def has_answer(text: str) -> bool:
    """Return whether a chat has an answer that is learnt and not empty."""
    return any(is_learnt(one) and not _is_empty(one) for one in json.loads(text))


def empty_answers(text: str) -> int:
    """Return how many answers of a chat are learnt although they are empty."""
    return sum(is_learnt(one) and _is_empty(one) for one in json.loads(text))


def contents(text: str) -> str:
    """Return the texts of the messages of a chat, with blanks between them."""
    return " ".join(message["content"] for message in json.loads(text))


def roles(text: str) -> list[str]:
    """Return the role of each message of a chat."""
    return [message["role"] for message in json.loads(text)]


def _is_empty(message: Mapping[str, Any]) -> bool:
    return not message["content"].strip() and not calls_tools(message)


def calls_tools(message: Mapping[str, Any]) -> bool:
    """Return whether a message calls tools."""
    return any(message.get(key) for key in CALLS)
