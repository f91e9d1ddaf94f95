"""Section `segmentation` of params.yaml; see the comments there for units and reasons."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pre2post.core.section import Count, Name, Phase, Positive, Section

RESERVED = ("gain", "rivals", "primary", "threshold", "threshold_level", "provenance")  # in metrics/segmentation.json


class SegmentationParams(Section):
    train: Annotated[list[Name], Field(min_length=1)]
    mixes: dict[Name, Annotated[dict[Phase, Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]]
    folds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    test_phases: Annotated[list[Phase], Field(min_length=1)]
    train_crop: Literal["both", "breast"]
    score_region: Literal["both", "predicted_breast", "annotated_breast"]
    evaluator: Name
    lesion_overlap: Annotated[float, Field(gt=0, le=1)]
    plan: Literal["small", "nnunet"]
    epochs: Count
    num_iterations_per_epoch: Count
    batch_size: Count
    learning_rate: Positive
    warmup_epochs: Annotated[int, Field(ge=0)]
    oversample_foreground: Annotated[float, Field(ge=0, le=1)]
    validate_every_epochs: Count
    min_validation_dice: Annotated[float, Field(ge=0, lt=1)]
    restarts: Annotated[int, Field(ge=0)]
    resume_every_seconds: Annotated[float, Field(ge=0)]
    use_mirroring: bool
    tile_step_size: Annotated[float, Field(gt=0, le=1)]
    threads: Count

    @model_validator(mode="after")
    def _check_mixes(self) -> Self:
        unknown = [name for name in self.train if name not in self.mixes]
        if unknown:
            raise ValueError(f"train names {unknown[0]!r}, which is not in mixes: {', '.join(self.mixes)}")
        if self.evaluator not in self.mixes:
            raise ValueError(f"evaluator is {self.evaluator!r}, which is not in mixes: {', '.join(self.mixes)}")
        taken = next((name for name in self.mixes if name in RESERVED), None)
        if taken:
            raise ValueError(f"a mix cannot be called {taken!r}: metrics/segmentation.json has a key of that name")
        return self
