"""Section `slices` of params.yaml; its comments give units and reasons."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from pre2post.core.section import Fraction, Section


class SlicesParams(Section):
    phases: Annotated[list[Annotated[str, Field(pattern=r"^post[1-9]$")]], Field(min_length=1)]
    size: Annotated[int, Field(ge=16, multiple_of=4)]
    min_foreground: Fraction

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.phases)) < len(self.phases):
            raise ValueError(f"phases names one twice: {', '.join(self.phases)}")
        return self
