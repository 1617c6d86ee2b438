"""Reading YAML files into one configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainorder.errors import UserError


def load_config(*paths: str | Path) -> dict[str, Any]:
    """Read YAML files and lay each over the one before, key by key.

    Raises:
        UserError: a file is missing or is not a YAML mapping.

    """
    config: dict[str, Any] = {}
    for path in paths:
        try:
            content = Path(path).read_bytes()
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
        _merge(config, parsed(content, path))
    return config


def parsed(content: bytes, where: str | Path) -> dict[str, Any]:
    """Return the mapping of keys to plain values that the bytes of a YAML file hold.

    Raises:
        UserError: they hold something else, or a key twice; the line begins with `where`.

    """
    try:
        found = _Loader(content.decode("utf-8")).get_single_data()
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{where}: not readable as YAML: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{where}: not a mapping of keys to values")
    return found


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which YAML's own loader keeps the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise ValueError(f"line {line}: `{key.value}` stands twice; make it one")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return node


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
