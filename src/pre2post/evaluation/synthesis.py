"""Compare synthetic volumes with the real ones, per patient and as sets, next to their baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_lesion
from pre2post.core.errors import InputError, error_context
from pre2post.core.files import rounded
from pre2post.core.paths import SLICES, SYNTHETIC, synthetic_name
from pre2post.core.progress import progress
from pre2post.core.section import Seed, StageParams
from pre2post.evaluation.patient_values import Patient, SliceMetric, patient_values
from pre2post.evaluation.radiomics_comparison import RadiomicsComparison
from pre2post.evaluation.set_comparison import OTHERS, SetComparison
from pre2post.evaluation.synthesis_table import ORACLE, Value
from pre2post.image.body_mask import tissue_planes
from pre2post.image.breast_mask import breast_mask
from pre2post.image.laterality import contralateral
from pre2post.image.params import SlicesParams
from pre2post.image.slices import mask_to_slices, to_slices
from pre2post.image.volume import Vector, Volume, describe_geometry, same_geometry
from pre2post.ingest.params import IngestParams
from pre2post.io.slice_store import map_array
from pre2post.io.validation import check_finite
from pre2post.io.volume_file import read_volume
from pre2post.metrics.baselines import by_phase
from pre2post.metrics.extractors import Extractor
from pre2post.metrics.params import MetricsParams
from pre2post.segmentation.design import METHODS as MADE
from pre2post.stats.params import StatisticsParams
from pre2post.synthesis.volumes import Infer, synthetic_volumes


class SynthesisEvaluationParams(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    statistics: StatisticsParams
    ingest: IngestParams
    metrics: MetricsParams
    slices: SlicesParams


@dataclass(frozen=True)
class Reference:
    """What the volumes of one phase are compared with: the real phase, and other patients.

    phase: of slices.phases. further: whether it is not the first one. slices, cases: of the other patients, who are
    outside the evaluated splits; real, normalised slices (n, size, size).
    """

    phase: str
    further: bool
    slices: np.ndarray
    cases: list[Case]

    def made_by(self, method: str) -> str:
        """Return the name of the phase that a method makes, as synthetic_name takes it."""
        return f"{method}_{self.phase}" if self.further else method

    def split_name(self, split: str) -> str:
        """Return the name of a split in the tables; for further phases it ends in the phase."""
        return f"{split}_{self.phase}" if self.further else split


def make_references(params: SynthesisEvaluationParams, others: list[Case]) -> list[Reference]:
    """Return the references of each phase of slices.phases; `others` are patients outside the evaluated splits."""
    real = by_phase(map_array(SLICES / "validation_post.npy"))
    return [
        Reference(phase, place > 0, slices, others)
        for place, (phase, slices) in enumerate(zip(params.slices.phases, real, strict=True))
    ]


def evaluate(
    split: str,
    members: list[Case],
    reference: Reference,
    extractors: list[Extractor],
    perceptual: Mapping[str, SliceMetric],
    params: SynthesisEvaluationParams,
) -> tuple[list[Value], list[dict]]:
    """Return the values of every patient of a split, and the distances between its sets of slices."""
    sets, radiomics = SetComparison(extractors), RadiomicsComparison()
    values: list[Value] = []
    for case in progress(members, f"evaluate_synthesis: {split}", unit="patient"):
        patient, lesion, planes, spacing = read_patient(split, case, params, reference)
        volumes = {"real": patient.real, **patient.methods}
        with error_context(case=case.id):
            data_range = params.metrics.normalised_range(params.ingest.headroom)
            values += patient_values(patient, params.metrics, data_range, perceptual)
            del volumes[ORACLE]  # sets of slices are compared with those that a method could make
            if len(planes):
                slices = {name: to_slices(volume[planes], params.slices.size) for name, volume in volumes.items()}
                sets.add_patient(slices.pop("real"), slices)
            if params.metrics.radiomics:
                radiomics.add_patient(case.id, volumes, lesion, spacing[:2])
    if sets.n:
        sets.add_set(OTHERS, reference.slices[_even(len(reference.slices), sets.n)])
    for case in reference.cases if params.metrics.radiomics else ():
        pre = read_volume(case.path("pre"))
        real = _read_aligned(pre, case, case.path(reference.phase))
        radiomics.add_patient(
            case.id, {OTHERS: case.scale.normalise(real.array)}, _read_lesion(pre, case), pre.spacing[:2]
        )
    return values, [{**row, "value": rounded(row["value"])} for row in [*sets.rows(), *radiomics.rows("real")]]


def read_patient(
    split: str, case: Case, params: SynthesisEvaluationParams, reference: Reference
) -> tuple[Patient, np.ndarray, np.ndarray, Vector]:
    """Return one patient's normalised volumes and regions, the lesion mask, the planes with tissue, and the spacing.

    Raises InputError, with the file, for a missing volume, another geometry, an empty mask, or no breast.
    """
    pre = read_volume(case.path("pre"))
    lesion = _read_lesion(pre, case)
    normalised, real = (
        case.scale.normalise(volume.array) for volume in (pre, _read_aligned(pre, case, case.path(reference.phase)))
    )
    made = {method: SYNTHETIC / synthetic_name(case.id, reference.made_by(method)) for method in MADE}
    size = params.slices.size
    methods = {
        **{method: case.scale.normalise(_read_aligned(pre, case, file).array) for method, file in made.items()},
        "pre": _through_the_grid(pre, case, size, lambda slices: slices),
        ORACLE: _through_the_grid(pre, case, size, _oracle(normalised, real, lesion, size)),
    }
    patient = Patient(split, case.id, normalised, real, methods, _regions(pre, lesion, case), pre.spacing)
    return patient, lesion, tissue_planes(pre.array, params.slices.min_foreground), pre.spacing


def _through_the_grid(pre: Volume, case: Case, size: int, make: Infer) -> np.ndarray:
    """Return what a function of slices makes of a volume, resampled to the generator's matrix and back as synthesised.

    So a baseline has the same losses by resampling as the generator.
    """
    (volume,) = synthetic_volumes(pre, case.scale, size, make)
    return case.scale.normalise(volume.array)


def _oracle(pre: np.ndarray, real: np.ndarray, lesion: np.ndarray, size: int) -> Infer:
    """Return a function that adds the median enhancement of the lesion (z, y, x) in the lesion, and nothing elsewhere.

    It knows the mask and one number of the real volume, so it is a bound for what a generator could know, no method.
    """
    enhancement = np.median((real - pre)[lesion])
    mask = mask_to_slices(lesion, size)
    return lambda slices: slices + np.float32(enhancement) * mask


def _regions(pre: Volume, lesion: np.ndarray, case: Case) -> Mapping[str, np.ndarray | None]:
    breast = breast_mask(pre.array, pre.spacing)
    if not (breast & ~lesion).any():
        raise InputError(
            "no breast was found in the pre-contrast volume",
            case=case.id,
            file=case.path("pre"),
            expected="tissue in front of a chest wall",
            hint="check the volume, or exclude the case",
        )
    healthy = contralateral(breast, lesion)
    return {"whole": None, "breast": breast, "lesion": lesion} | ({"contralateral": healthy} if healthy.any() else {})


def _read_lesion(pre: Volume, case: Case) -> np.ndarray:
    """Read the lesion (z, y, x), bool: the mask, or the annotated box of a patient without a mask."""
    lesion = read_lesion(case, pre)
    if lesion is None:
        raise InputError(
            "the patient has no annotated lesion",
            case=case.id,
            file=case.folder,
            expected="a mask or a box",
            hint="annotate the tumour, or take the patient out of the split",
        )
    if case.has_mask:
        _check_geometry(pre, lesion, case, case.path("mask"))
    return lesion.array > 0


def _read_aligned(pre: Volume, case: Case, path: Path) -> Volume:
    """Read a volume. Raises InputError if its geometry is not that of `pre`, or a value is not finite."""
    if not path.is_file():
        raise InputError("the volume is missing", case=case.id, file=path, hint="run `dvc repro`")
    volume = read_volume(path)
    check_finite(volume, path)
    _check_geometry(pre, volume, case, path)
    return volume


def _check_geometry(pre: Volume, volume: Volume, case: Case, path: Path) -> None:
    if not same_geometry(pre, volume):
        raise InputError(
            "the geometry of the volume is not that of the pre-contrast volume",
            case=case.id,
            file=path,
            found=describe_geometry(volume),
            expected=describe_geometry(pre),
            hint="run `dvc repro`",
        )


def _even(available: int, wanted: int) -> np.ndarray:
    """Return `wanted` evenly spaced indices, or all if fewer are available."""
    return np.unique(np.linspace(0, available - 1, min(wanted, available)).round().astype(int))
