"""Section `ingest` of params.yaml, where comments explain units and reasons."""

import os
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pre2post.core.section import Count, Name, NotNegative, Percentile, Section


class IngestParams(Section):
    cohort: str
    layout: Name
    workers: Literal["auto"] | Count
    on_error: Literal["raise", "skip"]
    n4_bias_correction: bool
    register_above_mm: NotNegative
    low_percentile: Percentile
    high_percentile: Percentile
    min_lesion_ml: NotNegative
    headroom: Annotated[float, Field(ge=1)]

    @property
    def processes(self) -> int:
        """Return the number of worker processes on this machine."""
        return os.cpu_count() or 1 if self.workers == "auto" else self.workers

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")
        return self
