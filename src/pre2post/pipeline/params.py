"""All of params.yaml, and the conditions between its sections."""

from pathlib import Path
from typing import Self

from pydantic import ConfigDict, model_validator

from pre2post.core.paths import PARAMS
from pre2post.core.section import Seed, StageParams
from pre2post.image.params import SlicesParams
from pre2post.ingest.params import IngestParams
from pre2post.metrics.params import MetricsParams
from pre2post.pix2pixhd.params import GanParams
from pre2post.same.params import SameParams
from pre2post.segmentation.design import METHODS, is_synthetic, made_phases
from pre2post.segmentation.params import SegmentationParams
from pre2post.splits.params import SplitParams
from pre2post.stats.params import StatisticsParams
from pre2post.synthesis.params import SynthesisParams


class Params(StageParams):
    """All of params.yaml. Each field is a section; see the comments there for units and reasons."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    seed: Seed
    ingest: IngestParams
    split: SplitParams
    slices: SlicesParams
    gan: GanParams
    metrics: MetricsParams
    same: SameParams
    synthesis: SynthesisParams
    segmentation: SegmentationParams
    statistics: StatisticsParams

    @model_validator(mode="after")
    def _folds_exist(self) -> Self:
        if max(self.segmentation.folds) >= self.split.folds:
            raise ValueError(
                f"segmentation.folds has {max(self.segmentation.folds)}, but split.folds makes only "
                f"0 to {self.split.folds - 1}"
            )
        return self

    @model_validator(mode="after")
    def _slices_fit_the_generator(self) -> Self:
        """Check as pix2pixhd.architecture.Architecture.check_size does for given weights."""
        gan, size = self.gan, self.slices.size
        halvings = gan.downs + (gan.enhancers if gan.generator == "local" else 0)
        if size % 2**halvings or size < 2 * 2**halvings:
            raise ValueError(
                f"slices.size {size} does not fit gan.downs {gan.downs}: it must be a multiple of "
                f"{2**halvings}, and at least {2 * 2**halvings}, for a {gan.generator} generator"
            )
        return self

    @model_validator(mode="after")
    def _phases_have_channels(self) -> Self:
        phases = self.slices.phases
        if len(phases) > 1 and self.gan.channels != len(phases):
            raise ValueError(
                f"slices.phases names {len(phases)} phases, so gan.channels must be {len(phases)}, a "
                f"channel each; found {self.gan.channels}"
            )
        study = self.segmentation
        used = {phase for name in study.train for phase in study.mixes[name]} | set(study.test_phases)
        made = {phase for method in METHODS for phase in made_phases(method, phases)}
        for phase in sorted(used):
            if is_synthetic(phase) and phase not in made:
                raise ValueError(
                    f"segmentation uses {phase}, which is not made; of slices.phases there are: "
                    f"{', '.join(sorted(made))}"
                )
        return self

    @model_validator(mode="after")
    def _weighted_metrics_exist(self) -> Self:
        files = {"fid_img": "inception_weights", "fid_rad": "radimagenet_weights", "lpips": "lpips_weights"}
        for metric, file in files.items():
            if getattr(self.same.weights, metric) and not getattr(self.metrics, file):
                raise ValueError(
                    f"same.weights.{metric} is above 0, but metrics.{file} names no file: see weights/README.md"
                )
        return self


def load_params(path: Path = PARAMS) -> Params:
    """Read and check all of params.yaml. Raises InputError as StageParams.read does."""
    return Params.read(path)
