"""Section `split` of params.yaml, where comments explain units and reasons."""

from typing import Annotated, Literal

from pydantic import Field

from pre2post.core.section import Section


class SplitParams(Section):
    strategy: Literal["random", "predefined", "published", "file"]
    file: str
    external_site: str
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    gan_fraction: Annotated[float, Field(ge=0, lt=1)]
    folds: Annotated[int, Field(ge=2)]
    multifocal: Literal["leave_out", "keep"]
