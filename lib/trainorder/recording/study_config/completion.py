"""Complete the configuration of a study with the keys that its record decides."""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from trainorder.config.sections.run import RunConfig
from trainorder.config.study_config import Config
from trainorder.errors import UserError
from trainorder.recording.record.heldout import check_length, heldout_path, read_heldout
from trainorder.recording.record.layout import checkpoint, recorded_states
from trainorder.recording.record.settings import (
    RecordedSettings,
    common_weight_decay,
    read_settings,
    settings_path,
)
from trainorder.recording.study_config.fitted_defaults import fitted_defaults
from trainorder.recording.study_config.window import RecordedWindow, open_window

_LONG = 60  # characters of a value that a message does not show
_REPLACED = (  # keys of a schedule, which a table of rates replaces
    *("learning_rate", "schedule", "horizon", "linear_warmup_steps", "final_fraction"),
    *("decay_steps", "decay_form"),
)


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the keys that its `run.recording` decides.

    What does not fit the window of the record is removed from sections with default values. Without
    a recording, or with an invalid section `run`, the configuration stays as it is.

    Args:
        config: plain nested mappings; they need not be checked.

    Raises:
        UserError: the record is missing, damaged or cannot be studied, or a key that it decides has
            another value.

    """
    result = deepcopy(dict(config))
    run = _recorded_run(config)
    if run is None:
        return result
    folder = str(run.recording)
    settings, window = read_settings(folder), open_window(folder, run.start, run.steps)
    for section, keys in _decided(folder, settings, window).items():
        for key, value in keys.items():
            _set(result, (section, key), value, folder)
    _check_rates(result, folder)
    result["run"] = {**config["run"], "checkpoints": folder}
    if run.loss_scale is None:
        result["run"]["loss_scale"] = window.loss_scale
    return {**result, **fitted_defaults(result)}


def _recorded_run(config: Mapping[str, Any]) -> RunConfig | None:
    section = config.get("run")
    if not isinstance(section, Mapping):
        return None
    try:
        run = RunConfig(**{str(key): value for key, value in section.items()})
    except ValidationError:  # reported where the whole configuration is checked
        return None
    return None if run.recording is None else run


def _decided(
    folder: str, settings: RecordedSettings, window: RecordedWindow
) -> dict[str, dict[str, Any]]:
    """Return the keys of each section that a record decides."""
    heldout = next(iter(read_heldout(folder).values()))
    check_length(str(heldout_path(folder)), heldout, window.length)
    return {
        "corpus": {
            "source": "tokens",
            "files": [str(settings_path(folder))],
            "sequence_length": window.length,
            "heldout_sequences": len(heldout),
        },
        "model": _model(folder, settings),
        "optimizer": _optimizer(folder, settings, window),
        "window": {
            "warmup_steps": window.steps.start,
            "units": window.units,
            "unit_size": window.unit_size,
            "units_per_step": window.units_per_step,
            "epochs": 1,
        },
    }


def _model(folder: str, settings: RecordedSettings) -> dict[str, Any]:
    source = settings.source or str(checkpoint(folder, recorded_states(folder)[0]))
    if settings.lora is not None or settings.trains_all:
        return {"source": source, "trainable": None, "lora": settings.lora}
    names = [name for group in settings.groups for name in group]
    return {"source": source, "trainable": _patterns(names), "lora": None}


def _patterns(names: Iterable[str]) -> list[str]:
    """Return a regular expression of each name."""
    return [f"^{re.escape(name)}$" for name in names]


def _optimizer(folder: str, settings: RecordedSettings, window: RecordedWindow) -> dict[str, Any]:
    weight_decay = common_weight_decay(str(settings_path(folder)), settings)
    groups = zip(settings.weight_decays, settings.groups, strict=True)
    exempt = _patterns(name for decay, names in groups if not decay for name in names)
    clip = {} if settings.gradient_clip is None else {"gradient_clip": settings.gradient_clip}
    return {
        "name": "adamw",
        "beta1": settings.beta1,
        "beta2": settings.beta2,
        "epsilon": settings.epsilon,
        "weight_decay": weight_decay,
        "no_decay": exempt if exempt and weight_decay else None,
        "rates": window.rates,
        **clip,
    }


def _set(config: dict[str, Any], key: tuple[str, str], value: Any, folder: str) -> None:
    """Set a key; raise if the user has given it another value than its default."""
    section, name = key
    if not isinstance(config.get(section), dict):
        return
    default = getattr(getattr(Config(), section), name)
    given = config[section].get(name, default)
    if given not in (value, default):
        known = repr(value) if len(repr(value)) < _LONG else "another value"
        raise UserError(
            f"config: {section}.{name}: {given!r}, but the record {folder} has {known}; remove "
            "this key"
        )
    config[section][name] = value


def _check_rates(config: Mapping[str, Any], folder: str) -> None:
    """Check that no key of a schedule is set, as the record has the rates."""
    defaults = asdict(Config().optimizer)
    for name in _REPLACED:
        if config["optimizer"].get(name, defaults[name]) != defaults[name]:
            raise UserError(
                f"config: optimizer.{name}: the record {folder} has the learning rate of each "
                "step; remove this key"
            )
