"""The configurations of the repository, with keys replaced for a test."""

import copy
from pathlib import Path

from trainorder.config.loading import load_config

ROOT = Path(__file__).parents[1]
CONFIGS = {"default": [], **{path.stem: [path] for path in sorted(ROOT.glob("presets/*.yaml"))}}


def config(name="default", **values):
    """Return the default or a preset configuration; `a__b=1` replaces the value of `a.b`."""
    return replaced(load_config(ROOT / "config.yaml", *CONFIGS[name]), **values)


def replaced(original, **values):
    """Return a copy of nested mappings; `a__b=1` replaces the value of the key `a.b`."""
    copied = copy.deepcopy(original)
    for key, value in values.items():
        *sections, last = key.split("__")
        mapping = copied
        for section in sections:
            mapping = mapping[section]
        mapping[last] = value
    return copied


# Configurations whose sizes do not need the files of a pretrained model.
SIZED = [name for name in CONFIGS if config(name)["model"]["source"] is None]
