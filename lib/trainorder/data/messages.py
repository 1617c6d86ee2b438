"""Chats: the messages of a row as text, and as tokens through the chat template of a tokenizer.

A chat is a list of messages, each with a `role` and its `content`. The keys `from` and `value` of
other data sets (with the roles human and gpt) mean the same.
"""

import json
from collections.abc import Mapping
from typing import Any

from trainorder.errors import UserError

ASSISTANT = "assistant"
_ROLES = {"human": "user", "gpt": ASSISTANT, "chatgpt": ASSISTANT, "bot": ASSISTANT}


def messages_text(where: str, value: Any, column: str) -> str | None:
    """Return the messages of a row as JSON text; None for none at all.

    Keys without a value are omitted: tables add them to messages that have no such key, and chat
    templates test whether a key exists. Only `content` always exists, because templates join it
    with other texts; it is empty in a message that only calls tools.

    Args:
        where: the place of the row, for messages.
        value: the list of messages, or its JSON text, as tables hold it.
        column: the name of its column.

    Raises:
        UserError: it is not a list of messages.

    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = 0
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise UserError(
            f"{where}: column `{column}` is not a list of messages; write "
            '[{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]'
        )
    messages = [_message(f"{where}: message {i}", one) for i, one in enumerate(value)]
    return json.dumps(messages, ensure_ascii=False, allow_nan=False) if messages else ""


def _message(where: str, message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in message.items() if value is not None}
    for key, other in (("role", "from"), ("content", "value")):
        if key not in kept and other in kept:
            kept[key] = kept.pop(other)
    role = kept.get("role")
    if not isinstance(role, str):
        raise UserError(f"{where}: has no `role`; the keys are {', '.join(map(str, message))}")
    kept["role"] = _ROLES.get(role, role)
    kept["content"] = _content(where, kept.get("content", ""))
    return kept


def _content(where: str, content: Any) -> str:
    """Return the text of a message, which some data sets write as a list of parts."""
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise UserError(f"{where}: `content` is not text; only chats of text are supported")
    return content


def has_answer(text: str) -> bool:
    """Return whether a chat has an assistant message, as only those are learnt."""
    return any(message["role"] == ASSISTANT for message in json.loads(text))
