"""Section `split` of params.yaml; see the comments there for units and reasons."""

from typing import Annotated, Literal

from pydantic import Field

from pre2post.core.section import Section


class SplitParams(Section):
    source: Literal["seeded", "listed", "published", "file"]
    file: str
    external_site: str
    test_share: Annotated[float, Field(gt=0, lt=1)]
    generator_share: Annotated[float, Field(ge=0, lt=1)]
    folds: Annotated[int, Field(ge=2)]
    multifocal: Literal["leave_out", "keep"]
