"""Section `metrics` of params.yaml; see the comments there for units and reasons."""

from typing import Self

from pydantic import model_validator

from pre2post.core.section import Digest, Positive, Section, check_hashed


class MetricsParams(Section):
    data_range: Positive
    ssim_sigma: Positive
    enhancement_threshold: Positive
    inception_weights: str
    inception_sha256: Digest
    radimagenet_weights: str
    radimagenet_sha256: Digest
    lpips_weights: str
    lpips_sha256: Digest
    radiomics: bool
    legacy_uint8: bool

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        check_hashed(self, "inception", "radimagenet", "lpips")
        return self

    def normalised_range(self, headroom: float) -> float:
        """Return data_range in normalised intensity, in which the intensity range of pre is 1 / headroom."""
        return self.data_range / headroom
