"""Names of estimators, for instance `subsample10-tail2@barycentre`: written and parsed here."""

import re
from collections.abc import Mapping
from typing import Any

from trainorder.config.methods import METHODS, Method
from trainorder.errors import UserError

PATHS = ("reference", "barycentre")
SEARCH_PATH = "barycentre"  # the path about which searches estimate


def _search_estimator(role: str) -> str:
    [name] = [method.name for method in METHODS.values() if method.search_role == role]
    return f"{name}@{SEARCH_PATH}"


SCREENING = _search_estimator("screen")  # scores every order of a search
CONFIRMING = _search_estimator("confirm")  # scores the best orders again if no size is open


def write_name(
    method: str, path: str, *, guard: float | None, size: int | None, tail: int, runs: int
) -> str:
    """Return the name of an estimator in files and figures."""
    known = METHODS.get(method)
    name = method
    if known is not None and known.takes_guard and guard is None:
        name += "-unguarded"
    if size is not None:
        name += str(size)
    if runs:
        name += f"-runs{runs}"
    if tail:
        name += f"-tail{tail}"
    return f"{name}@{path}" if path else name


def parse_name(name: str) -> Mapping[str, Any]:
    """Return the `method`, `path`, `size`, `tail` and `runs` that the name of an estimator states.

    A name does not state the value of `guard`.

    Raises:
        UserError: no estimator can have this name.

    """
    methods = "|".join(re.escape(method) for method in sorted(METHODS, key=len, reverse=True))
    parts = re.fullmatch(
        rf"(?P<method>{methods})(-unguarded)?(?P<size>\d+)?(-runs(?P<runs>\d+))?"
        rf"(-tail(?P<tail>\d+))?(@(?P<path>{'|'.join(PATHS)}))?",
        name,
    )
    if parts is None:
        raise UserError(
            f"unknown estimator `{name}`; a name is a method and a path, for instance {CONFIRMING}"
        )
    return {
        "method": parts["method"],
        "path": parts["path"] or "",
        "size": int(parts["size"]) if parts["size"] else None,
        "tail": int(parts["tail"] or 0),
        "runs": int(parts["runs"] or 0),
    }


def method_of(name: str) -> Method:
    """Return the method of the estimator called `name`.

    Raises:
        UserError: no estimator can have this name.

    """
    return METHODS[parse_name(name)["method"]]
