"""Sections of params.yaml as typed objects; unknown keys, wrong types and values out of range are named errors."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pre2post.core.errors import InputError
from pre2post.core.files import read_yaml
from pre2post.core.paths import PARAMS

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Percentile = Annotated[float, Field(ge=0, le=100)]


def _known_phase(name: str) -> str:
    if not re.fullmatch(r"pre|post[1-9]|(synthetic|lut|blur)(_post[1-9])?", name):
        raise ValueError(
            f"unknown phase {name!r}; allowed: pre, post1 to post9, synthetic, lut and blur, and each of these three "
            "followed by _post1 to _post9"
        )
    return name


Phase = Annotated[str, AfterValidator(_known_phase)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{8,64})?$")]  # SHA-256 of a file in hexadecimal, or its first digits


class Section(BaseModel):
    """A section of params.yaml, or part of one. A subclass has one field per key."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StageParams(BaseModel):
    """The sections that a stage reads. A subclass has one field per section; other sections are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    @classmethod
    def read(cls, path: Path = PARAMS) -> Self:
        """Read and check these sections of params.yaml.

        Raises InputError with every invalid key, its value and the allowed values.
        """
        content = read_yaml(path)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            refused = "; ".join(_explain(detail) for detail in error.errors())
            raise InputError(refused, file=path, hint="correct the value, or drop the -S that set it") from None


def check_hashed(section: Section, *names: str) -> None:
    """Raise ValueError if <name>_weights names a file but <name>_sha256 is empty."""
    for name in names:
        if getattr(section, f"{name}_weights") and not getattr(section, f"{name}_sha256"):
            raise ValueError(f"{name}_weights needs {name}_sha256, at least the first 8 digits")


def _explain(detail: ErrorDetails) -> str:
    """Describe one invalid key in words."""
    name = ".".join(str(part) for part in detail["loc"] if part != "[key]") or "the file"
    if detail["type"] == "extra_forbidden":
        return f"{name} is not a known parameter"
    if detail["type"] == "missing":
        return f"{name} is missing"
    if detail["type"] == "value_error":
        return f"{name}: {detail['ctx']['error']}"
    found, allowed = detail["input"], detail["msg"].removeprefix("Input should be ")
    return f"{name}: found {found!r} ({type(found).__name__}), allowed: {allowed}"
