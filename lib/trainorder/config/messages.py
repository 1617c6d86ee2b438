"""One line for what is wrong with a configuration: its key, what was expected and what to do."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_UNKNOWN = ("unexpected_keyword_argument", "invalid_key")
_TYPES = {
    "bool_type": "true or false",
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "dataclass_type": "a mapping of keys to values",
}
_SUPPORTED = {  # what a section can express, for keys that it does not have
    "optimizer": "; supported are AdamW and SGD of torch.optim, without amsgrad, maximize and "
    "nesterov"
}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "greater_than": ("gt", "must be greater than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "less_than": ("lt", "must be less than {}"),
    "too_short": ("min_length", "needs at least {} entry"),
    "string_too_short": ("min_length", "needs at least {} character"),
}
_EXPONENT = re.compile(r"[+-]?\d+[eE][+-]?\d+")


def first_error(error: ValidationError, root: type) -> tuple[str, bool]:
    """Return the line about the first error, and whether it is an unknown key."""
    details = sorted(_nearest(error.errors(include_url=False)), key=_rank)[0]
    return _line(details, root), _is_unknown(details)


def missing_key(config: Mapping[str, Any], root: type) -> str | None:
    """Return the line about the first key that a section lacks, or None.

    Sections with defaults must be complete, because the rules read them as plain mappings. Entries
    of lists, and sections that are null by default, may omit keys that have a default.
    """
    for key in fields(root):
        if key.name not in config:
            return f"{key.name}: missing key; see config.yaml for its default"
        section = config[key.name]
        if key.default is None or not isinstance(section, Mapping):
            continue
        kind = _section_type(root, key.name)
        for part in fields(kind) if kind is not None else ():
            if part.name not in section:
                return f"{key.name}.{part.name}: missing key; see config.yaml for its default"
    return None


def _section_type(root: type, key: str) -> Any:
    """Return the dataclass of a key, whether it can be null or not, or None if it has none."""
    hint = get_type_hints(root).get(key)
    candidates = [hint, *get_args(hint)]
    nested = [inner for candidate in candidates for inner in get_args(candidate)]
    return next((kind for kind in [*candidates, *nested] if is_dataclass(kind)), None)


def _is_unknown(details: ErrorDetails) -> bool:
    return details["type"] in _UNKNOWN or details["loc"][-1:] == ("[key]",)


def _rank(details: ErrorDetails) -> tuple[list[str], bool, str]:
    """Sort by key. In a section an unknown key goes first, as a misspelt one explains others."""
    where = [str(part) for part in details["loc"]]
    unknown = _is_unknown(details)
    return (where[:-1] if unknown else where, not unknown, where[-1] if where else "~")


def _nearest(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Keep one error for each value of a union: that of the branch that nearly fits."""
    kept: dict[tuple[int | str, ...], ErrorDetails] = {}
    for details in errors:
        details["loc"] = loc = _without_branches(details["loc"])
        before = kept.get(loc)
        if before is None or before["type"] == "literal_error" or _is_closer(details, before):
            if before is not None and details["type"] in ("int_type", "list_type"):
                expected = before.get("ctx", {}).get("expected", "")
                details["ctx"] = {"expected": f"{expected} or {_TYPES[details['type']]}"}
                details["type"] = "literal_error"
            kept[loc] = details
    inside = {loc[:-1] for loc in kept}  # the value has the type of a branch, but a part is wrong
    return [e for loc, e in kept.items() if loc not in inside or e["type"] not in _TYPES]


def _without_branches(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return where a value is, without the names that pydantic gives to the branches of a union."""
    branch = r"literal\[|constrained-|function-|list\["
    return tuple(part for part in loc if not re.match(branch, str(part)))


def _is_closer(details: ErrorDetails, before: ErrorDetails) -> bool:
    return before["type"] in _TYPES and details["type"] not in _TYPES


def _line(details: ErrorDetails, root: type) -> str:
    loc = [part for part in details["loc"] if part != "[key]"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)[1:]
    kind, value = details["type"], details.get("input")
    if _is_unknown(details):
        return f"{where}: unknown key; {_suggestion(loc, details, root)}"
    if kind == "value_error":
        message = str(details["ctx"]["error"])
        return f"{where}{_separator(where, message)}{message}"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return f"{where}: {_about_text(value, _TYPES[kind])}"
    if kind in _TYPES:
        return f"{where}: expected {_TYPES[kind]}, not {_short(value)}"
    if kind in _BOUNDS:
        name, text = _BOUNDS[kind]
        return f"{where}: {text.format(details['ctx'][name])}, not {_short(value)}"
    return f"{where}: {_other(details)}"


def _about_text(value: str, expected: str) -> str:
    """Return what is wrong with a text where a number belongs, and why it may be a text."""
    if _EXPONENT.fullmatch(value):
        return f"`{value}` is text in YAML; write it with a dot, for instance 1.0e-3"
    if _is_number_text(value):
        return (
            f"{value!r} is text, not a number; nested numbers given with Snakemake's --config are "
            "text: use --configfile"
        )
    return f"expected {expected}, not {_short(value)}"


def _other(details: ErrorDetails) -> str:
    value = details.get("input")
    if details["type"] in ("missing", "missing_argument"):
        return "missing key; it has no default"
    if details["type"] == "string_pattern_mismatch":
        return f"{value!r} is not a name; use letters, digits, `_`, `.` and `-`"
    if details["type"] == "string_unicode":
        return f"{_short(value)} contains a lone surrogate (invalid Unicode); rename it"
    if details["type"] == "literal_error":
        expected = details["ctx"]["expected"].replace("'", "")
        return f"expected {expected}, not {_short(value)}"
    return details["msg"]


def _separator(where: str, message: str) -> str:
    """Return what joins a section and a message of its validator, which begins with a key."""
    if not where:
        return ""
    return "." if re.match(r"[a-z_0-9]+: ", message) else ": "


def _suggestion(loc: Sequence[int | str], details: ErrorDetails, root: type) -> str:
    known = _known_keys(loc, root)
    if details["loc"][-1] == "[key]":
        known = re.findall(r"\w+", details["ctx"]["pattern"])
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known keys: {', '.join(known)}{_SUPPORTED.get(str(loc[0]), '')}"


def _known_keys(loc: Sequence[int | str], root: type) -> list[str]:
    kind: Any = root
    for part in loc[:-1]:
        if isinstance(part, str) and kind is not None:
            kind = _section_type(kind, part)
    return [key.name for key in fields(kind)] if kind is not None else []


def _is_number_text(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
