"""Section `gan` of params.yaml; see the comments there for units and reasons."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pre2post.core.section import Count, Digest, Fraction, NotNegative, Positive, Section, check_hashed


class GanParams(Section):
    generator: Literal["global", "local"]
    channels: Annotated[int, Field(ge=1, le=9)]
    width: Count
    downs: Annotated[int, Field(ge=1, le=6)]
    blocks: Annotated[int, Field(ge=0)]
    enhancers: Annotated[int, Field(ge=1, le=4)]
    enhancer_blocks: Annotated[int, Field(ge=0)]
    residual: bool
    upsampling: Literal["transposed", "resize"]
    discriminator_width: Count
    discriminator_scales: Annotated[int, Field(ge=1, le=4)]
    discriminator_layers: Annotated[int, Field(ge=1, le=5)]
    lambda_gan: NotNegative
    lambda_fm: NotNegative
    lambda_vgg: NotNegative
    vgg_weights: str
    vgg_sha256: Digest
    lambda_l1: NotNegative
    lambda_enhancement: NotNegative
    enhancement_weight: NotNegative
    enhancement_span: Annotated[list[float], Field(min_length=2, max_length=2)]
    lesion_weight: NotNegative
    epochs: Count
    global_epochs: Annotated[int, Field(ge=0)]
    fix_global_epochs: Annotated[int, Field(ge=0)]
    lr_decay_fraction: Fraction
    slices_per_case: Annotated[int, Field(ge=0)]
    lesion_slices: Annotated[float, Field(ge=0, le=1)]
    batch_size: Literal["auto"] | Count
    learning_rate: Positive
    beta1: Annotated[float, Field(ge=0, lt=1)]
    flip: bool
    augment: bool
    ema: Annotated[float, Field(ge=0, lt=1)]
    checkpoint_every_epochs: Count
    resume_every_steps: Count
    devices: Literal["auto"] | Count
    precision: Literal["auto", "float32", "bfloat16"]
    channels_last: Literal["auto"] | bool
    compile: Literal["auto"] | bool
    threads: Count

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        first = self.global_epochs + self.fix_global_epochs
        if first and self.generator == "global":
            raise ValueError("global_epochs and fix_global_epochs belong to generator: local; set them to 0")
        if first >= self.epochs:
            raise ValueError(f"epochs must exceed global_epochs + fix_global_epochs, which is {first}")
        if self.lesion_weight and not self.lambda_l1 and not self.lambda_enhancement:
            raise ValueError("lesion_weight weighs the terms of lambda_l1 and lambda_enhancement, which are both 0")
        if self.enhancement_span[0] >= self.enhancement_span[1]:
            raise ValueError("enhancement_span must be two rising numbers")
        perceptual = self.lambda_vgg if self.vgg_weights else 0.0
        if not any((self.lambda_gan, self.lambda_l1, self.lambda_enhancement, perceptual)):
            raise ValueError("all losses are off, so nothing would be learned; set lambda_gan to 1")
        if self.lesion_slices and not self.slices_per_case:
            raise ValueError("lesion_slices is a fraction of slices_per_case, which is 0: all slices are used")
        check_hashed(self, "vgg")
        if self.lambda_vgg and self.vgg_weights and self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}, but VGG19 takes 1 or 3; set lambda_vgg to 0")
        return self
