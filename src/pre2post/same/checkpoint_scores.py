"""Every metric of every checkpoint on the validation slices. Features of real slices are extracted only once.

Slices are processed in blocks, with all checkpoints per block, so memory does not grow with the number of slices. Only
sums and moments per patient are kept. The scores of resampled patients are computed from them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from pre2post.core.errors import InputError, error_context
from pre2post.metrics.extractors import Extractor
from pre2post.metrics.feature_sets import FeatureSet, Standard, set_distances
from pre2post.metrics.pixel import chunks
from pre2post.metrics.slice_metrics import slice_metrics
from pre2post.metrics.ssim import SIGMA
from pre2post.stats.bootstrap import PatientMoments, resampled_distances, resampled_means

Infer = Callable[[np.ndarray], np.ndarray]  # normalised slices, Slices.pre, to as many synthetic ones of each phase
SliceMetric = Callable[[np.ndarray, np.ndarray], np.ndarray]  # real and synthetic slices to a value per slice
Options = tuple[float, float, Mapping[str, SliceMetric]]  # data_range, sigma, further metrics

BLOCK_PIXELS = 2**25  # per block of slices: 134 MB as float32, large enough that networks are seldom reloaded


@dataclass(frozen=True)
class Slices:
    """Validation slices (n, h, w), normalised, possibly memory-mapped, and the patient of each slice.

    pre: with neighbours (n, 1 + 2 * neighbours, h, w), if the generator uses them.
    post: of several phases (n, phases, h, w); every phase counts as a separate slice.
    lesion: nonzero in the lesion.
    """

    pre: np.ndarray
    post: np.ndarray
    lesion: np.ndarray
    patients: tuple[str, ...]

    def __post_init__(self) -> None:
        shapes = {(len(array), *np.shape(array)[-2:]) for array in (self.pre, self.post, self.lesion)}
        if len(shapes) > 1 or len(self.post) != len(self.patients) or not self.patients:
            raise InputError(
                "the validation slices do not belong together",
                hint="run `dvc repro extract_slices`",
                found=f"shapes {sorted(shapes)}, patients of {len(self.patients)} slices",
            )


class _Accumulator:
    """Accumulated results of one set of slices: sums of each metric per patient, and features of each extractor."""

    def __init__(self, extractors: Sequence[Extractor]):
        self.sums: dict[str, dict[str, list[float]]] = {}
        self.sets = {one.frechet: FeatureSet() for one in extractors}
        self.moments = {one.frechet: PatientMoments() for one in extractors}

    def add_values(self, metric: str, values: np.ndarray, weights: np.ndarray, patients: np.ndarray) -> None:
        """Add weighted values, one per slice, to the sums of their patients."""
        for patient in dict.fromkeys(patients.tolist()):
            own = patients == patient
            total = self.sums.setdefault(metric, {}).setdefault(patient, [0.0, 0.0])
            total[0] += float(values[own] @ weights[own])
            total[1] += float(weights[own].sum())

    def add_features(self, extractors: Sequence[Extractor], slices: np.ndarray, patients: np.ndarray) -> None:
        for one in extractors:
            features = one.extract(slices)
            self.sets[one.frechet].add(features)
            self.moments[one.frechet].add(features, patients)

    def patient_means(self, metric: str) -> dict[str, float]:
        """Return the metric's mean of each patient with a weight above 0, in sorted order of patients."""
        return {
            patient: total / weight for patient, (total, weight) in sorted(self.sums.get(metric, {}).items()) if weight
        }


@dataclass(frozen=True)
class CheckpointScores:
    """The scores of checkpoints and baselines.

    table, baselines: name -> metric -> value, a mean over patients or a distance between sets.
    resampled: checkpoint -> metric -> values (n_resamples,), one per resample of patients.
    lesion_mae: of checkpoints and baselines; None without a lesion.
    """

    table: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, float]]
    resampled: dict[str, dict[str, np.ndarray]]
    lesion_mae: dict[str, float | None]


def score_checkpoints(
    checkpoints: Mapping[str, Callable[[], Infer]],
    slices: Slices,
    extractors: Sequence[Extractor],
    counts: np.ndarray,
    data_range: float = 1.0,
    sigma: float = SIGMA,
    more: Mapping[str, SliceMetric] | None = None,
    threads: int = 1,
    baselines: Mapping[str, Infer] | None = None,
) -> CheckpointScores:
    """Score checkpoints and baselines on the validation slices.

    checkpoints: functions that load a network and return its Infer.
    counts: (n_resamples, patients in sorted order), from stats.bootstrap.resample_patients.
    data_range, sigma: of slice_metrics.
    more: further metrics of slices by name.
    threads: checkpoints scored in parallel, with one network each in memory.
    baselines: Infer functions by name.

    Metrics of slices are averaged per patient and then over patients, so every patient has the same weight. Distances
    are between the sets of slices, and comparable for equal numbers of slices.

    Raises InputError, naming the checkpoint, for synthetic slices of another shape or with values not finite.
    """
    real = _Accumulator(extractors)
    baselines = baselines or {}
    loaders = dict(checkpoints) | {name: partial(_identity, baseline) for name, baseline in baselines.items()}
    accumulators = {name: _Accumulator(extractors) for name in loaders}
    labels = {name: f"{'baseline' if name in baselines else 'checkpoint'} {name}: " for name in accumulators}
    patients = np.array(slices.patients)
    with ThreadPoolExecutor(threads) as pool:
        for part in chunks(slices.post.shape, BLOCK_PIXELS):
            pre, post, lesion = (np.array(array[part]) for array in (slices.pre, slices.post, slices.lesion))
            phases = post.shape[1] if post.ndim == 4 else 1
            lesion, owners = np.repeat(lesion > 0, phases, 0), np.repeat(patients[part], phases)
            tasks: list[Future[None]] = [pool.submit(real.add_features, extractors, _single(post), owners)]
            tasks += [
                pool.submit(
                    _score,
                    accumulators[name],
                    labels[name],
                    load,
                    (pre, _single(post), lesion),
                    owners,
                    extractors,
                    (data_range, sigma, more or {}),
                )
                for name, load in loaders.items()
            ]
            for task in tasks:
                task.result()
    return _summarised(real, accumulators, list(baselines), extractors, counts, threads)


def _identity(infer: Infer) -> Infer:
    return infer


def _single(slices: np.ndarray) -> np.ndarray:
    """Return slices (n, h, w), with the phases of a slice one after the other."""
    return slices.reshape(-1, *slices.shape[-2:])


def _score(
    accumulator: _Accumulator,
    label: str,
    load: Callable[[], Infer],
    block: tuple[np.ndarray, np.ndarray, np.ndarray],
    patients: np.ndarray,
    extractors: Sequence[Extractor],
    options: Options,
) -> None:
    """Add the scores of one checkpoint on a block of slices (pre, real, lesion) to its accumulator."""
    pre, real, lesion = block
    with error_context(label):
        synthetic = _single(load()(pre))
        _add_metrics(accumulator, real, synthetic, lesion, patients, options)
        accumulator.add_features(extractors, synthetic, patients)


def _add_metrics(
    accumulator: _Accumulator,
    real: np.ndarray,
    synthetic: np.ndarray,
    lesion: np.ndarray,
    patients: np.ndarray,
    options: Options,
) -> None:
    data_range, sigma, more = options
    found = slice_metrics(real, synthetic, data_range, sigma)
    found |= {name: metric(real, synthetic) for name, metric in more.items()}
    for name, values in found.items():
        accumulator.add_values(name, values, np.ones(len(real)), patients)
    pixels = lesion.sum(axis=(1, 2))
    errors = np.where(lesion, np.abs(synthetic - real), 0).sum(axis=(1, 2), dtype=np.float64)
    accumulator.add_values("lesion_mae", errors / np.maximum(pixels, 1), pixels, patients)


def _summarised(
    real: _Accumulator,
    accumulators: Mapping[str, _Accumulator],
    baselines: Collection[str],
    extractors: Sequence[Extractor],
    counts: np.ndarray,
    threads: int,
) -> CheckpointScores:
    table: dict[str, dict[str, float]] = {}
    resampled: dict[str, dict[str, np.ndarray]] = {}
    lesion: dict[str, float | None] = {}
    for name, accumulator in accumulators.items():
        means = {metric: accumulator.patient_means(metric) for metric in accumulator.sums}
        inside = list(means.pop("lesion_mae").values())
        lesion[name] = float(np.mean(inside)) if inside else None
        table[name] = {metric: float(np.mean(list(values.values()))) for metric, values in means.items()}
        resampled[name] = {metric: resampled_means(list(values.values()), counts) for metric, values in means.items()}
    compared = {name: accumulator for name, accumulator in accumulators.items() if name not in baselines}
    for one in extractors:
        standard = one.standard(real.sets[one.frechet].moments)
        for name, accumulator in accumulators.items():
            found = set_distances(real.sets[one.frechet], accumulator.sets[one.frechet], standard)
            table[name] |= {one.frechet: found["frechet"], one.kid: found["kid"]}
        for name, values in _resampled_distances(one, standard, real, compared, counts, threads).items():
            resampled[name][one.frechet] = values
    return CheckpointScores(
        {name: table[name] for name in compared},
        {name: table[name] for name in baselines},
        {name: resampled[name] for name in compared},
        lesion,
    )


def _resampled_distances(
    one: Extractor,
    standard: Standard,
    real: _Accumulator,
    accumulators: Mapping[str, _Accumulator],
    counts: np.ndarray,
    threads: int,
) -> dict[str, np.ndarray]:
    """Return the extractor's Frechet distance of each checkpoint in every resample."""
    parts = {
        name: accumulator.moments[one.frechet].by_patient for name, accumulator in {"": real, **accumulators}.items()
    }
    patients = sorted(parts[""])
    ordered = {name: [standard.of(found[patient]) for patient in patients] for name, found in parts.items()}
    return resampled_distances(ordered.pop(""), ordered, counts, threads)
