"""Section `slices` of params.yaml and the settings of the intensity scale; comments there give units and reasons."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from pre2post.core.section import Fraction, Percentile, Section

Phases = Annotated[list[Annotated[str, Field(pattern=r"^post[1-9]$")]], Field(min_length=1)]
SliceSize = Annotated[int, Field(ge=16, multiple_of=4)]


class SlicesParams(Section):
    phases: Phases
    size: SliceSize
    neighbours: Annotated[int, Field(ge=0, le=4)]
    min_foreground: Fraction

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.phases)) < len(self.phases):
            raise ValueError(f"phases names one twice: {', '.join(self.phases)}")
        return self


class IntensityParams(Section):
    """What turns scanner units into normalised intensity: part of section `ingest`, and of a generator's card."""

    n4_bias_correction: bool
    low_percentile: Percentile
    high_percentile: Percentile
    headroom: Annotated[float, Field(ge=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")
        return self
