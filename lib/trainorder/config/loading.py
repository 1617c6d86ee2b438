"""Reading YAML files into one configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainorder.errors import UserError


def load_config(*paths: str | Path) -> dict[str, Any]:
    """Return plain nested mappings: each YAML file overrides single keys of the one before.

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
    """Return the mapping that the bytes of a YAML file contain.

    Raises:
        UserError: they are not a YAML mapping, or a key is duplicate; the line begins with `where`.

    """
    mapping = yaml_content(content, where)
    if not isinstance(mapping, dict):
        raise UserError(f"{where}: expected a mapping of keys to values")
    return mapping


def yaml_content(content: bytes, where: str | Path) -> Any:
    """Return the value that the bytes of a YAML file contain.

    Raises:
        UserError: they are not YAML, or a key is duplicate; the line begins with `where`.

    """
    try:
        return _Loader(content.decode("utf-8")).get_single_data()
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{where}: cannot be read as YAML: {error}") from None


class _Loader(yaml.SafeLoader):
    """Raises on a duplicate key. The loader of PyYAML keeps the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise ValueError(f"line {line}: duplicate key `{key.value}`; keep one of them")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return node


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
