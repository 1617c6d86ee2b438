"""The configurations of the repository, with some keys changed."""

import copy
from pathlib import Path

from trainorder.config.loading import load_config

ROOT = Path(__file__).parents[1]
CONFIGS = {"default": [], **{path.stem: [path] for path in sorted(ROOT.glob("presets/*.yaml"))}}


def config(name="default", **values):
    """Return the default or a preset's configuration, values at dotted keys (`__`) replaced."""
    return replaced(load_config(ROOT / "config.yaml", *CONFIGS[name]), **values)


def replaced(given, **values):
    """Return a copy of nested mappings with values at dotted keys (`__` for the dot) replaced."""
    found = copy.deepcopy(given)
    for key, value in values.items():
        *sections, last = key.split("__")
        place = found
        for section in sections:
            place = place[section]
        place[last] = value
    return found


# Those whose sizes need no file of a pretrained model.
SIZED = [name for name in CONFIGS if config(name)["model"]["source"] is None]
