"""Which folders a record may write into: it never replaces or removes the files of others."""

from pathlib import Path

from trainorder.errors import UserError
from trainorder.recording.record.layout import checkpoints, is_recorded_state
from trainorder.recording.record.settings import settings_path


def check_own_folder(folder: str | Path) -> None:
    """Check that a folder has no checkpoints and steps, or that it is a record.

    Raises:
        UserError: it has a checkpoint of a `Trainer`, or no settings of a record.

    """
    states = checkpoints(folder)
    for path in states:
        check_replaceable(path)
    files = [*states, *sorted(Path(folder, "steps").glob("*.safetensors"))]
    if files and not settings_path(folder).exists():
        raise UserError(
            f"{files[0]}: exists, but no {settings_path(folder)}, so the folder is not a record; "
            "choose another folder for the record"
        )


def check_replaceable(checkpoint: Path) -> None:
    """Check that the folder of a checkpoint does not exist, or is a state of a record.

    Raises:
        UserError: it is another checkpoint, for example that of a `Trainer`.

    """
    if checkpoint.exists() and not is_recorded_state(checkpoint):
        raise UserError(
            f"{checkpoint}: is a checkpoint that no recording wrote, for example of a Trainer; "
            "choose another folder for the record"
        )


def check_separate(run: str | Path, record: str | Path) -> None:
    """Check that the folders of a run and of its record are not the same or nested.

    Raises:
        UserError: they are, also through links.

    """
    one, other = Path(run).resolve(), Path(record).resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise UserError(
            f"{record}: the record is the folder of the run {run}, or one is inside the other; "
            "choose another folder for the record"
        )
