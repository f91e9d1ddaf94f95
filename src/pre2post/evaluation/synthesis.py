"""Compare synthetic volumes with the real ones, per patient and as sets, next to their baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_lesion
from pre2post.core.errors import InputError, error_context
from pre2post.core.numbers import rounded
from pre2post.core.paths import SLICES, SYNTHETIC, synthetic_name
from pre2post.core.progress import progress
from pre2post.core.section import Seed, StageParams
from pre2post.evaluation.patient_values import Patient, patient_values
from pre2post.evaluation.radiomics_comparison import RadiomicsComparison
from pre2post.evaluation.set_comparison import OTHERS, SetComparison
from pre2post.evaluation.synthesis_table import (
    Value,
)
from pre2post.image.body_mask import tissue_planes
from pre2post.image.breast_mask import breast_mask
from pre2post.image.laterality import contralateral
from pre2post.image.params import SlicesParams
from pre2post.image.slices import to_slices
from pre2post.image.volume import Volume, describe_geometry, same_geometry
from pre2post.io.finite import check_finite
from pre2post.io.slice_store import map_array
from pre2post.io.volume_file import read_volume
from pre2post.metrics.baselines import LookupTable, by_phase, fit_lookup_table
from pre2post.metrics.extractors import Extractor
from pre2post.metrics.params import MetricsParams
from pre2post.stats.params import StatisticsParams


class SynthesisEvaluationParams(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    statistics: StatisticsParams
    metrics: MetricsParams
    slices: SlicesParams


@dataclass(frozen=True)
class Reference:
    """What the synthetic volumes of one phase are read against: a look-up table fitted on the training slices, and
    patients of no split that is evaluated, whose real images are compared with those of each split."""

    phase: str
    further: bool  # not the first of slices.phases
    lookup: LookupTable
    slices: np.ndarray  # of the others: real, normalised, (n, size, size)
    cases: list[Case]

    @property
    def synthetic(self) -> str:
        """The phase as synthetic_name wants it."""
        return self.phase if self.further else ""

    def split_name(self, part: str) -> str:
        """Name of a split of patients in the tables: a part of the splits, of further phases with theirs."""
        return f"{part}_{self.phase}" if self.further else part


def make_references(params: SynthesisEvaluationParams, others: list[Case]) -> list[Reference]:
    pre, post, real = (map_array(SLICES / f"{name}.npy") for name in ("train_pre", "train_post", "validation_post"))
    return [
        Reference(phase, place > 0, fit_lookup_table(pre, train), slices, others)
        for place, (phase, train, slices) in enumerate(
            zip(params.slices.phases, by_phase(post), by_phase(real), strict=True)
        )
    ]


def evaluate(
    split: str,
    members: list[Case],
    reference: Reference,
    extractors: list[Extractor],
    perceptual: Mapping,
    params: SynthesisEvaluationParams,
) -> tuple[list[Value], list[dict]]:
    """Every patient's values, and the distances between sets of slices, of one split of patients."""
    sets, radiomics = SetComparison(extractors), RadiomicsComparison()
    values = []
    for case in progress(members, f"evaluate_synthesis: {split}", unit="patient"):
        patient, planes, spacing = read_patient(split, case, params, reference)
        volumes = {"real": patient.real, **patient.methods}
        with error_context(case=case.id):
            values += patient_values(patient, params.metrics, perceptual)
            if len(planes):
                slices = {name: to_slices(volume[planes], params.slices.size) for name, volume in volumes.items()}
                sets.add_patient(slices.pop("real"), slices)
            if params.metrics.radiomics:
                radiomics.add_patient(case.id, volumes, patient.regions["lesion"], spacing[:2])
    if sets.n:
        sets.add_set(OTHERS, reference.slices[_even(len(reference.slices), sets.n)])
    for case in (reference.cases[place] for place in _even(len(reference.cases), radiomics.n)):
        pre = read_volume(case.path("pre"))
        real = _read_beside(pre, case, case.path(reference.phase))
        radiomics.add_patient(
            case.id, {OTHERS: case.scale.normalise(real.array)}, _read_lesion(pre, case), pre.spacing[:2]
        )
    return values, [{**row, "value": rounded(row["value"])} for row in [*sets.rows(), *radiomics.rows("real")]]


def read_patient(
    split: str, case: Case, params: SynthesisEvaluationParams, reference: Reference
) -> tuple[Patient, np.ndarray, tuple]:
    """One patient's normalised volumes and regions, the planes with tissue, and the size of a voxel in mm.

    Raises InputError, naming the file, for a missing or displaced volume, an empty mask, or no breast.
    """
    pre = read_volume(case.path("pre"))
    real, synthetic = (
        _read_beside(pre, case, path)
        for path in (case.path(reference.phase), SYNTHETIC / synthetic_name(case.id, reference.synthetic))
    )
    lesion = _read_lesion(pre, case)
    normalised = case.scale.normalise(pre.array)
    methods = {
        "synthetic": case.scale.normalise(synthetic.array),
        "pre": normalised,
        "lut": reference.lookup(normalised),
    }
    patient = Patient(
        split, case.id, normalised, case.scale.normalise(real.array), methods, _regions(pre, lesion, case)
    )
    return patient, tissue_planes(pre.array, params.slices.min_foreground), pre.spacing


def _regions(pre: Volume, lesion: np.ndarray, case: Case) -> Mapping[str, np.ndarray | None]:
    breast = breast_mask(pre.array, pre.spacing)
    if not (breast & ~lesion).any():
        raise InputError(
            "no breast is found in the pre-contrast volume",
            case=case.id,
            file=case.path("pre"),
            expected="tissue in front of a chest wall",
            hint="look at the volume, or leave the case out",
        )
    other = contralateral(breast, lesion)
    return {"whole": None, "breast": breast, "lesion": lesion} | ({"contralateral": other} if other.any() else {})


def _read_lesion(pre: Volume, case: Case) -> np.ndarray:
    """The lesion (z, y, x), bool: the mask, or the annotated box of a patient who has none."""
    lesion = read_lesion(case, pre)
    if lesion is None:
        raise InputError(
            "the patient has no annotated lesion",
            case=case.id,
            file=case.folder,
            expected="a mask or a box",
            hint="annotate the tumour, or leave the patient out of the split",
        )
    if case.has_mask:
        _check_geometry(pre, lesion, case, case.path("mask"))
    return lesion.array > 0


def _read_beside(pre: Volume, case: Case, path: Path) -> Volume:
    """Reads a volume that must lie exactly where `pre` does and hold numbers only."""
    if not path.is_file():
        raise InputError("the volume is missing", case=case.id, file=path, hint="run `dvc repro`")
    volume = read_volume(path)
    check_finite(volume, path)
    _check_geometry(pre, volume, case, path)
    return volume


def _check_geometry(pre: Volume, volume: Volume, case: Case, path: Path) -> None:
    if not same_geometry(pre, volume):
        raise InputError(
            "the volume lies elsewhere than the pre-contrast one",
            case=case.id,
            file=path,
            found=describe_geometry(volume),
            expected=describe_geometry(pre),
            hint="run `dvc repro`",
        )


def _even(available: int, wanted: int) -> np.ndarray:
    """Places of as many as are wanted, evenly spaced, or of all where there are fewer."""
    return np.unique(np.linspace(0, available - 1, min(wanted, available)).round().astype(int))
