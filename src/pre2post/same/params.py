"""Section `same` of params.yaml; see the comments there for units and reasons."""

from typing import Annotated, Literal

from pydantic import Field

from pre2post.core.section import NotNegative, Section


class SameWeights(Section):
    ssim: NotNegative
    mse: NotNegative
    mae: NotNegative
    fd_random: NotNegative
    fd_texture: NotNegative
    fid_img: NotNegative
    fid_rad: NotNegative
    lpips: NotNegative


class SameParams(Section):
    scaling: Literal["minmax", "max", "zscore"]
    weights: SameWeights
    n_resamples: Annotated[int, Field(ge=100)]
    dice_table: str
