"""Section `statistics` of params.yaml; see the comments there for units and reasons."""

from typing import Annotated

from pydantic import Field

from pre2post.core.section import Section


class StatisticsParams(Section):
    confidence_level: Annotated[float, Field(gt=0, lt=1)]
    n_resamples: Annotated[int, Field(ge=100)]
    min_patients: Annotated[int, Field(ge=2)]
    margin_dice: Annotated[float, Field(gt=0, lt=1)]
