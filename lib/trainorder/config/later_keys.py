"""Keys that later versions added: they count in hashes and file keys only where they are set."""

from typing import Any

# The default of each such key, by section. Older configurations behave as if they had it.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "corpus": {"txt_documents": "paragraphs", "messages_column": None, "token_dtype": None},
    "curriculum": {"literature": [], "method": "global", "retrainings": 48.0, "fresh": 0},
    "window": {"poisoned": 0},
    "model": {"revision": None},
    "run": {"loss_scale": None},
    "optimizer": {
        "no_decay": None,
        "decay_steps": None,
        "decay_form": "cosine",
        "rates": None,
    },
}


def as_before(name: str, section: Any) -> Any:
    """Return a section of plain values without the keys of later versions at their default."""
    defaults = _DEFAULTS.get(name)
    if not defaults or not section:
        return section
    return {key: v for key, v in section.items() if key not in defaults or v != defaults[key]}
