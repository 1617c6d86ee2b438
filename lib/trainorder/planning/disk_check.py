"""Checks that a study fits on its disk, and its temporary files in their folder."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trainorder.errors import UserError
from trainorder.numerics.memory_budget import VECTORS_HELD
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import Stage
from trainorder.storage.formats import size_text


def check_disk(studies: Sequence[Sequence[Stage]], results: Path, slots: int) -> None:
    """Check that studies fit on the disk of a results folder.

    Args:
        studies: the stages of each study.
        results: the folder; files that it already has count as free.
        slots: number of jobs that run at once.

    Raises:
        UserError: the studies do not fit.

    """
    all_stages = [stage for study in studies for stage in study]
    needed = sum(stage.bytes for stage in all_stages) + scratch_bytes(studies, slots)
    disk = _existing_parent(results)
    free = shutil.disk_usage(disk).free + _folder_bytes(results)
    if needed > free:
        largest = max(all_stages, key=lambda stage: stage.bytes)
        raise UserError(
            f"{results}: the study needs {size_text(needed)}, but its disk has {size_text(free)} "
            f"for it; stage `{largest.name}` needs most ({size_text(largest.bytes)}); lower "
            "window.units, model.hidden_size or expansion.anchors, or remove estimators"
        )


def check_temporary(
    studies: Sequence[Sequence[Stage]], sizes: Sizes, results: Path, slots: int
) -> None:
    """Check that the temporary files of jobs fit in their folder.

    They hold the parameter vectors beyond `memory_gb`, for `slots` jobs of one stage at once. If
    the folder is on the disk of the results, they need room beside them.

    Args:
        studies: the stages of each study.
        sizes: the sizes of the study.
        results: the folder of the results.
        slots: number of jobs that run at once.

    Raises:
        UserError: they do not fit.

    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    all_stages = [stage for study in studies for stage in study]
    if os.stat(folder).st_dev == os.stat(_existing_parent(results)).st_dev:
        free += (
            _folder_bytes(results)
            - sum(stage.bytes for stage in all_stages)
            - scratch_bytes(studies, slots)
        )
    in_files, name = max(
        (vector_bytes(stage, sizes)[1] * min(slots, stage.jobs), stage.name) for stage in all_stages
    )
    if in_files > free:
        raise UserError(
            f"{folder}: jobs of stage `{name}` need {size_text(in_files)} of temporary files, "
            f"but it has {size_text(max(0, free))} beside the results; set TMPDIR to a larger "
            "disk, raise memory_gb, or lower curvature.rank, curvature.basis or window.units"
        )


def vector_bytes(stage: Stage, sizes: Sizes) -> tuple[int, int]:
    """Return the bytes of a job's parameter vectors in memory, and in temporary files."""
    vectors = int(stage.rows * FLOAT * sizes.P)
    in_memory = min(vectors, int(VECTORS_HELD * FLOAT * sizes.P + sizes.config["memory_gb"] * 1e9))
    return in_memory, vectors - in_memory


def scratch_bytes(studies: Sequence[Sequence[Stage]], slots: int) -> int:
    """Return the bytes that stages need until they end, with `slots` of them at once."""
    return sum(sorted(stage.scratch for study in studies for stage in study)[-slots:])


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _existing_parent(folder: Path) -> Path:
    return next(path for path in [folder, *folder.resolve().parents] if path.exists())
