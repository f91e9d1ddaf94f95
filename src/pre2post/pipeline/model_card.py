"""A model's card, which travels beside its weights: who trained it, how, how good it is, and what it is for.

After Mitchell et al., Model Cards for Model Reporting (FAT* 2019), as far as a program can fill one in.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from pre2post.core.errors import InputError
from pre2post.core.files import read_json, sha256_of, write_json
from pre2post.core.section import Section, StageParams

LICENCE = (
    "MIT for weights trained on the embedded phantom alone. Weights trained on patients are under the terms of "
    "their cohort, such as CC BY-NC 4.0 for Duke-Breast-Cancer-MRI."
)
SAME_AS_TRAINED = (
    ("slices", "phases"),
    ("slices", "size"),
    ("ingest", "n4_bias_correction"),
    ("ingest", "low_percentile"),
    ("ingest", "high_percentile"),
    ("ingest", "headroom"),
)
INTENDED_USE = (
    "Research into virtual contrast in breast MRI, on volumes like those of its training. Not for "
    "diagnosis: what it shows is a prediction from other patients, and may be wrong where it matters."
)


class Value(Section):
    """A metric, mean over n patients, with its interval; low and high are None where n is too small for one."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int


class ModelCard(Section):
    """What is known of a file of weights.

    sha256: of that file. patients: a digest of each training patient (cohort.patients.digest); None: unknown.
    data, split: hashes of the cohort and of the split. params: values of params.yaml, by section, that shaped the
    weights. made_with: commit and package versions. All None or empty for weights from elsewhere.
    """

    model: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    patients: list[str] | None = None
    data: str | None = None
    split: str | None = None
    params: Annotated[dict[str, Any], Field(default_factory=dict)]
    metrics: Annotated[dict[str, Value], Field(default_factory=dict)]
    metrics_of: str = ""
    made_with: Annotated[dict[str, Any], Field(default_factory=dict)]
    source: str = ""
    licence: str = LICENCE
    intended_use: str = INTENDED_USE


def card_file(weights: Path) -> Path:
    """Where the card of a file of weights lies: generator.card.json beside generator.safetensors."""
    return Path(weights).with_suffix(".card.json")


def write_card(weights: Path, model: str, **facts) -> None:
    """Writes the card of a file of weights; `facts` are fields of ModelCard."""
    write_json(card_file(weights), ModelCard(model=model, sha256=sha256_of(weights), **facts).model_dump())


def read_card(weights: Path) -> ModelCard | None:
    """The card beside a file of weights; None where there is none.

    Raises InputError when the card is damaged, or is that of other weights.
    """
    file = card_file(weights)
    if not file.is_file():
        return None
    try:
        card = ModelCard.model_validate(read_json(file))
    except ValidationError as error:
        detail = error.errors()[0]
        raise InputError(
            "this is no model card",
            file=file,
            expected=detail["msg"],
            found=".".join(map(str, detail["loc"])) or "another text",
            hint="pull weights and card again, together",
        ) from None
    found = sha256_of(weights)
    if found != card.sha256:
        raise InputError(
            "the weights are not those of their card",
            file=weights,
            found=f"sha256 {found}",
            expected=f"{card.sha256}, as {file.name} says",
            hint="pull weights and card again, together; what a card says of other weights means nothing",
        )
    return card


def check_card(weights: Path, params: StageParams) -> None:
    """Checks a generator's weights against their card, and the parameters now against those of the training.

    Raises InputError when they do not match. Weights without a card are used, with a warning.
    """
    card = read_card(weights)
    if card is None:
        print(
            f"warning: {weights} has no card ({card_file(weights).name}), so nobody can tell whether these are the "
            "weights that somebody shared, or what they were trained on",
            file=sys.stderr,
        )
        return
    now = params.model_dump()
    for section, key in SAME_AS_TRAINED:
        trained = card.params.get(section, {})
        if key in trained and trained[key] != now[section][key]:
            raise InputError(
                "the weights were trained with another value of a parameter",
                file=weights,
                found=f"{section}.{key} {json.dumps(now[section][key])} in params.yaml",
                expected=f"{json.dumps(trained[key])}, as {card_file(weights).name} says",
                hint=f"set {section}.{key} to that, or use other weights",
            )
