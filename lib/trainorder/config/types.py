"""Types of configuration values: "8" is not a number; True and 8.0 are not integers."""

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic.types import Strict

UNPRINTABLE = "\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # line breaks, and invalid in files
MAX_SEED = 2**32 - 1
CLOSED = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def _check_path(path: str) -> str:
    if invalid := re.search(f"[{{}}{UNPRINTABLE}]", path):
        raise ValueError(
            f"{path!r} contains {invalid[0]!r}, which Snakemake paths cannot; rename it"
        )
    return path


Flag = Annotated[bool, Strict()]
Integer = Annotated[int, Strict()]
Natural = Annotated[Integer, Field(ge=0)]
Positive = Annotated[Integer, Field(ge=1)]
Seed = Annotated[Integer, Field(ge=0, le=MAX_SEED)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
PositiveNumber = Annotated[Number, Field(gt=0)]
BoundedNumber = Annotated[PositiveNumber, Field(le=1e30)]  # its square is still a float32
Rate = Annotated[Number, Field(ge=0, le=1e30)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Decay = Annotated[Number, Field(ge=0, lt=1)]
Probability = Annotated[Number, Field(gt=0, lt=1)]
Text = Annotated[str, Strict()]
NonEmpty = Annotated[str, Strict(), StringConstraints(min_length=1)]
PathText = Annotated[Text, AfterValidator(_check_path)]
NonEmptyPath = Annotated[NonEmpty, AfterValidator(_check_path)]
SplitName = Annotated[
    Text, StringConstraints(pattern="^(calibration|random|structured|custom)$")
]  # splits that estimates are scored on
StudyName = Annotated[Text, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
