"""The settings of a recorded run."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.storage.formats import read_json, write_json

_FILE, _FORMAT = "record.json", 1


@dataclass(frozen=True)
class RecordedSettings:
    """What stays the same in all steps of a run.

    Attributes:
        beta1: of AdamW.
        beta2: of AdamW.
        epsilon: of AdamW.
        weight_decays: the weight decay of each parameter group.
        groups: the names of the parameters of each group.
        gradient_clip: the largest norm of a gradient; None if gradients are not clipped, or if this
            is unknown.
        vocabulary: the number of tokens of the model.
        source: the base model of adapters; None if the first checkpoint is the model.
        lora: rank, alpha and targets of the adapters; None without adapters.
        trains_all: whether all parameters are trained.

    """

    beta1: float
    beta2: float
    epsilon: float
    weight_decays: list[float]
    groups: list[list[str]]
    gradient_clip: float | None
    vocabulary: int
    source: str | None
    lora: dict[str, Any] | None
    trains_all: bool


def settings_path(folder: str | Path) -> Path:
    """Return the file of the settings, which every record has."""
    return Path(folder) / _FILE


def write_settings(folder: str | Path, settings: RecordedSettings) -> None:
    """Publish the settings.

    Raises:
        UserError: the file cannot be written.

    """
    write_json(settings_path(folder), {"format": _FORMAT, **asdict(settings)})


def read_settings(folder: str | Path) -> RecordedSettings:
    """Return the settings of a record.

    Raises:
        UserError: the folder is no record, or one of another version.

    """
    path = settings_path(folder)
    if not path.is_file():
        raise UserError(f"{path}: no such file, so {folder} is not a record; see docs/run.md")
    content = read_json(path)
    known = {field.name for field in fields(RecordedSettings)}
    if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
        raise UserError(f"{path}: not a record of this version; record the run again")
    if content.keys() != known:
        key = min(content.keys() ^ known)
        raise UserError(f"{path}: `{key}` is missing or unknown; record the run again")
    return RecordedSettings(**content)


def common_weight_decay(where: str, settings: RecordedSettings) -> float:
    """Return the weight decay of all parameters that have any; 0 if none has.

    Raises:
        UserError: parameter groups have different ones.

    """
    groups = zip(settings.weight_decays, settings.groups, strict=True)
    decays = {decay for decay, names in groups if names and decay}
    if len(decays) > 1:
        raise UserError(
            f"{where}: parameter groups have the weight decays "
            f"{', '.join(f'{decay:g}' for decay in sorted(decays))}; a study takes one, or none "
            "for some parameters"
        )
    return max(decays, default=0.0)


def check_same_run(folder: str | Path, settings: RecordedSettings) -> None:
    """Check that a run continues the record in `folder`.

    Raises:
        UserError: a setting of the record differs; the message names the first one.

    """
    before, now = asdict(read_settings(folder)), asdict(settings)
    for key, value in before.items():
        if value != now[key]:
            values = "differs" if key == "groups" else f"was {value!r} and is now {now[key]!r}"
            raise UserError(
                f"{settings_path(folder)}: `{key}` {values}, so this is another run; choose "
                "another folder, or delete this one"
            )
