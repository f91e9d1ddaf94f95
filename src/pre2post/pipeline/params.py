"""params.yaml as typed objects: an unknown key, a wrong type or a value out of range is refused by its full name."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pre2post.core.errors import InputError
from pre2post.core.paths import PARAMS
from pre2post.core.yaml_file import read_yaml

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Percentile = Annotated[float, Field(ge=0, le=100)]


def _known_phase(name: str) -> str:
    if not re.fullmatch(r"pre|post[1-9]|synthetic(_post[1-9])?", name):
        raise ValueError(f"there is no phase {name!r}; allowed: pre, post1 to post9, synthetic, synthetic_post1 to "
                         "synthetic_post9")
    return name


Phase = Annotated[str, AfterValidator(_known_phase)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{8,64})?$")]  # of a file in hexadecimal, or its beginning


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _check_hashed(section: Section, *names: str) -> None:
    """Raises ValueError for <name>_weights, a file from elsewhere, without <name>_sha256."""
    for name in names:
        if getattr(section, f"{name}_weights") and not getattr(section, f"{name}_sha256"):
            raise ValueError(f"{name}_weights needs the file's {name}_sha256, or its first 8 digits at least")


class Ingest(Section):
    cohort: str
    layout: Name
    workers: Literal["auto"] | Count
    bad_cases: Literal["stop", "leave_out"]
    n4_bias_correction: bool
    register_above_mm: NotNegative
    low_percentile: Percentile
    high_percentile: Percentile
    smallest_lesion_ml: NotNegative
    ceiling: Annotated[float, Field(ge=1)]

    @property
    def processes(self) -> int:
        """What `workers` comes to on this machine."""
        return os.cpu_count() or 1 if self.workers == "auto" else self.workers

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")
        return self


class Split(Section):
    source: Literal["seeded", "listed", "published", "file"]
    file: str
    external_site: str
    test_share: Annotated[float, Field(gt=0, lt=1)]
    generator_share: Annotated[float, Field(ge=0, lt=1)]
    folds: Annotated[int, Field(ge=2)]
    multifocal: Literal["leave_out", "keep"]


class Slices(Section):
    phases: Annotated[list[Annotated[str, Field(pattern=r"^post[1-9]$")]], Field(min_length=1)]
    size: Annotated[int, Field(ge=16, multiple_of=4)]
    min_foreground: Share

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.phases)) < len(self.phases):
            raise ValueError(f"phases names one twice: {', '.join(self.phases)}")
        return self


class Gan(Section):
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
    lambda_fm: NotNegative
    lambda_vgg: NotNegative
    vgg_weights: str
    vgg_sha256: Digest
    lambda_l1: NotNegative
    lambda_enhancement: NotNegative
    enhancement_weight: NotNegative
    lesion_weight: NotNegative
    epochs: Count
    global_epochs: Annotated[int, Field(ge=0)]
    fix_global_epochs: Annotated[int, Field(ge=0)]
    decay_share: Share
    slices_per_case: Annotated[int, Field(ge=0)]
    batch_size: Literal["auto"] | Count
    learning_rate: Positive
    beta1: Annotated[float, Field(ge=0, lt=1)]
    flip: bool
    augment: bool
    ema: Annotated[float, Field(ge=0, lt=1)]
    save_every: Count
    state_every: Count
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
        _check_hashed(self, "vgg")
        if self.lambda_vgg and self.vgg_weights and self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}, but VGG19 takes 1 or 3; set lambda_vgg to 0")
        return self


class Quality(Section):
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
        _check_hashed(self, "inception", "radimagenet", "lpips")
        return self


class SameWeights(Section):
    ssim: NotNegative
    mse: NotNegative
    mae: NotNegative
    fd_random: NotNegative
    fd_texture: NotNegative
    fid_img: NotNegative
    fid_rad: NotNegative
    lpips: NotNegative


class Same(Section):
    scaling: Literal["minmax", "max", "zscore"]
    weights: SameWeights
    draws: Annotated[int, Field(ge=100)]
    dice_table: str


class Synthesis(Section):
    weights: str
    batch_size: Count


class Segmentation(Section):
    train: Annotated[list[Name], Field(min_length=1)]
    settings: dict[Name, Annotated[dict[Phase, Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]]
    folds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    test_phases: Annotated[list[Phase], Field(min_length=1)]
    train_on: Literal["both", "breast"]
    test_on: Literal["both", "predicted_breast", "annotated_breast"]
    judge: Name
    lesion_overlap: Annotated[float, Field(gt=0, le=1)]
    plan: Literal["small", "nnunet"]
    epochs: Count
    iterations: Count
    batch_size: Count
    learning_rate: Positive
    state_every: Count
    mirroring: bool
    threads: Count

    @model_validator(mode="after")
    def _known_settings(self) -> Self:
        unknown = [name for name in self.train if name not in self.settings]
        if unknown:
            raise ValueError(f"train names {unknown[0]!r}, which is not among settings: {', '.join(self.settings)}")
        if self.judge not in self.settings:
            raise ValueError(f"judge is {self.judge!r}, which is not among settings: {', '.join(self.settings)}")
        taken = next((name for name in self.settings if name in ("gain", "provenance")), None)
        if taken:
            raise ValueError(f"a setting cannot be called {taken!r}: metrics/segmentation.json has a key of that name")
        return self


class Statistics(Section):
    confidence: Annotated[float, Field(gt=0, lt=1)]
    bootstrap_draws: Annotated[int, Field(ge=100)]
    min_patients: Annotated[int, Field(ge=2)]


class Params(Section):
    """All of params.yaml. Each field is a section; see the comments there for units and reasons."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    ingest: Ingest
    split: Split
    slices: Slices
    gan: Gan
    quality: Quality
    same: Same
    synthesis: Synthesis
    segmentation: Segmentation
    statistics: Statistics

    @model_validator(mode="after")
    def _folds_exist(self) -> Self:
        if max(self.segmentation.folds) >= self.split.folds:
            raise ValueError(f"segmentation.folds has {max(self.segmentation.folds)}, but split.folds makes only "
                             f"0 to {self.split.folds - 1}")
        return self

    @model_validator(mode="after")
    def _slices_fit_the_generator(self) -> Self:
        """As pix2pixhd.architecture.Architecture.check_size, which asks the weights that are used."""
        gan, size = self.gan, self.slices.size
        halvings = gan.downs + (gan.enhancers if gan.generator == "local" else 0)
        if size % 2**halvings or size < 2 * 2**halvings:
            raise ValueError(f"slices.size {size} does not fit gan.downs {gan.downs}: it must be a multiple of "
                             f"{2**halvings}, and at least {2 * 2**halvings}, for a {gan.generator} generator")
        return self

    @model_validator(mode="after")
    def _phases_have_channels(self) -> Self:
        phases = self.slices.phases
        if len(phases) > 1 and self.gan.channels != len(phases):
            raise ValueError(f"slices.phases names {len(phases)} phases, so gan.channels must be {len(phases)}, a "
                             f"channel each; found {self.gan.channels}")
        study = self.segmentation
        used = {phase for name in study.train for phase in study.settings[name]} | set(study.test_phases)
        made = {"synthetic", *(f"synthetic_{phase}" for phase in phases[1:])}
        for phase in sorted(used):
            if phase.startswith("synthetic") and phase not in made:
                raise ValueError(f"segmentation uses {phase}, which is not made; of slices.phases there are: "
                                 f"{', '.join(sorted(made))}")
        return self

    @model_validator(mode="after")
    def _weighted_metrics_exist(self) -> Self:
        files = {"fid_img": "inception_weights", "fid_rad": "radimagenet_weights", "lpips": "lpips_weights"}
        for metric, file in files.items():
            if getattr(self.same.weights, metric) and not getattr(self.quality, file):
                raise ValueError(f"same.weights.{metric} is above 0, but quality.{file} names no file: see "
                                 "weights/README.md")
        return self


def load_params(path: Path = PARAMS) -> Params:
    """Reads and checks params.yaml. Raises InputError naming every refused key, what was found and what is allowed."""
    content = read_yaml(path)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        refused = "; ".join(_explain(detail) for detail in error.errors())
        raise InputError(refused, file=path, todo="correct the value, or drop the -S that set it") from None


def _explain(detail) -> str:
    """One refused key in words, from pydantic's description of it."""
    name = ".".join(str(part) for part in detail["loc"] if part != "[key]") or "the whole file"
    if detail["type"] == "extra_forbidden":
        return f"{name} is not a known parameter"
    if detail["type"] == "missing":
        return f"{name} is missing"
    if detail["type"] == "value_error":
        return f"{name}: {detail['ctx']['error']}"
    found, allowed = detail["input"], detail["msg"].removeprefix("Input should be ")
    return f"{name}: found {found!r} ({type(found).__name__}), allowed: {allowed}"
