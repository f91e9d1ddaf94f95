"""Model cards, stored next to the weights: training data, parameters, metrics and intended use of a model.

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
    "diagnosis: its output is a prediction learned from other patients, and may be wrong where it matters."
)


class Value(Section):
    """A metric, averaged over n patients, with its confidence interval; None if n is too small for one."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int


class ModelCard(Section):
    """The card of a file of weights.

    sha256: of that file. n_patients: number of training patients, None if unknown.
    data, split: hashes of the cohort and of the split. params: values of params.yaml, by section, that shaped the
    weights. made_with: hash of the code, and package versions. All are None or empty for external weights.
    """

    model: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    n_patients: Annotated[int, Field(ge=0)] | None = None
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
    """Return the path of the card, such as generator.card.json next to generator.safetensors."""
    return Path(weights).with_suffix(".card.json")


def write_card(weights: Path, model: str, **facts: Any) -> None:
    """Write the card of a file of weights; `facts` are fields of ModelCard."""
    write_json(card_file(weights), ModelCard(model=model, sha256=sha256_of(weights), **facts).model_dump())


def read_card(weights: Path) -> ModelCard | None:
    """Read the card of a file of weights; return None if there is no card.

    Raises InputError if the card is damaged or belongs to other weights.
    """
    file = card_file(weights)
    if not file.is_file():
        return None
    try:
        card = ModelCard.model_validate(read_json(file))
    except ValidationError as error:
        detail = error.errors()[0]
        raise InputError(
            "this is not a model card",
            file=file,
            expected=detail["msg"],
            found=".".join(map(str, detail["loc"])) or "other content",
            hint="pull weights and card again, together",
        ) from None
    found = sha256_of(weights)
    if found != card.sha256:
        raise InputError(
            "the weights do not match their card",
            file=weights,
            found=f"sha256 {found}",
            expected=f"{card.sha256}, as {file.name} says",
            hint="pull weights and card again, together",
        )
    return card


def check_card(weights: Path, params: StageParams) -> None:
    """Check a generator's weights against their card, and the current parameters against those of the training.

    Raises InputError if they differ. For weights without a card, print a warning.
    """
    card = read_card(weights)
    if card is None:
        print(
            f"warning: {weights} has no card ({card_file(weights).name}): their origin and training data are unknown",
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
                hint=f"set {section}.{key} to this value, or use other weights",
            )
