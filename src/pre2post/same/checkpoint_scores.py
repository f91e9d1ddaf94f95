"""Every metric of every checkpoint on the validation slices: real slices are read, and their features taken, once.

Slices pass through in blocks, all checkpoints on each block, so memory does not grow with their number. What is kept is
sums and moments a patient, from which the scores of resampled patients follow without another look at the images.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pre2post.core.errors import InputError, error_context
from pre2post.metrics.extractors import Extractor
from pre2post.metrics.feature_sets import FeatureSet, Standard, set_distances
from pre2post.metrics.pixel import chunks
from pre2post.metrics.slice_metrics import slice_metrics
from pre2post.metrics.ssim import SIGMA
from pre2post.stats.bootstrap import PatientMoments, resampled_distances, resampled_means

Infer = Callable[[np.ndarray], np.ndarray]  # normalised slices (n, h, w) to as many synthetic ones of each phase
SliceMetric = Callable[[np.ndarray, np.ndarray], np.ndarray]  # real and synthetic slices to a value a slice

BLOCK_PIXELS = 2**25  # of slices that pass through together: 134 MB as float32, and seldom enough a change of network


@dataclass(frozen=True)
class Slices:
    """Validation slices (n, h, w), normalised, may be memory-mapped; `lesion` is not 0 inside; each one's patient.

    post of several phases is (n, phases, h, w): every phase counts as a slice of its own.
    """

    pre: np.ndarray
    post: np.ndarray
    lesion: np.ndarray
    patients: tuple[str, ...]

    def __post_init__(self):
        shapes = {(len(array), *np.shape(array)[-2:]) for array in (self.pre, self.post, self.lesion)}
        if len(shapes) > 1 or len(self.post) != len(self.patients) or not self.patients:
            raise InputError(
                "the validation slices do not belong together",
                hint="run `dvc repro extract_slices`",
                found=f"shapes {sorted(shapes)}, patients of {len(self.patients)} slices",
            )


class _Tally:
    """What one set of slices has added up to: sums of each metric a patient, and features under each extractor."""

    def __init__(self, extractors: Sequence[Extractor]):
        self.sums: dict[str, dict[str, list[float]]] = {}
        self.sets = {one.frechet: FeatureSet() for one in extractors}
        self.moments = {one.frechet: PatientMoments() for one in extractors}

    def add_values(self, metric: str, values: np.ndarray, weights: np.ndarray, patients: np.ndarray) -> None:
        """Adds weighted values, one a slice, to the sums of their patients."""
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
        """The metric's mean over each patient that has any of it, patients in sorted order."""
        return {
            patient: total / weight for patient, (total, weight) in sorted(self.sums.get(metric, {}).items()) if weight
        }


@dataclass(frozen=True)
class CheckpointScores:
    """Metric -> value of each checkpoint, as means over patients and distances between sets, and of each baseline; `drawn`
    is that of the checkpoints for every draw of patients (draws,); `lesion_mae`, of both, is None without a lesion."""

    table: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, float]]
    drawn: dict[str, dict[str, np.ndarray]]
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
    """Scores checkpoints, each a function that loads a network and returns its Infer, and baselines beside them.

    Pixel metrics (quality.slice_metrics, and `more`) are means over patients of the patient's mean over slices, so a
    patient with many slices counts no more. Distances are between the sets of slices; comparable for equal numbers of
    slices. counts (draws, patients in sorted order) are the draws of quality.resampling.draw_patients.
    `threads` checkpoints are scored side by side, with one network each in memory.
    Raises InputError, naming the checkpoint, for synthetic slices of another shape or with values not finite.
    """
    real = _Tally(extractors)
    baselines = {name: lambda baseline=baseline: baseline for name, baseline in (baselines or {}).items()}
    tallies = {name: _Tally(extractors) for name in (*checkpoints, *baselines)}
    labels = {name: f"{'baseline' if name in baselines else 'checkpoint'} {name}: " for name in tallies}
    patients = np.array(slices.patients)
    with ThreadPoolExecutor(threads) as pool:
        for part in chunks(slices.post.shape, BLOCK_PIXELS):
            pre, post, lesion = (np.array(array[part]) for array in (slices.pre, slices.post, slices.lesion))
            phases = post.shape[1] if post.ndim == 4 else 1
            lesion, owners = np.repeat(lesion > 0, phases, 0), np.repeat(patients[part], phases)
            tasks = [pool.submit(real.add_features, extractors, _single(post), owners)]
            tasks += [
                pool.submit(
                    _score,
                    tallies[name],
                    labels[name],
                    load,
                    (pre, _single(post), lesion),
                    owners,
                    extractors,
                    (data_range, sigma, more or {}),
                )
                for name, load in (checkpoints | baselines).items()
            ]
            for task in tasks:
                task.result()
    return _summarised(real, tallies, list(baselines), extractors, counts, threads)


def _single(slices: np.ndarray) -> np.ndarray:
    """Slices (n, h, w), those of several phases one after the other."""
    return slices.reshape(-1, *slices.shape[-2:])


def _score(tally: _Tally, label: str, load, block, patients, extractors, settings) -> None:
    """Adds what one checkpoint makes of a block of slices to its tally."""
    pre, real, lesion = block
    with error_context(label):
        synthetic = _single(load()(pre))
        _add_metrics(tally, real, synthetic, lesion, patients, *settings)
        tally.add_features(extractors, synthetic, patients)


def _add_metrics(tally: _Tally, real, synthetic, lesion, patients, data_range, sigma, more) -> None:
    found = slice_metrics(real, synthetic, data_range, sigma)
    found |= {name: metric(real, synthetic) for name, metric in more.items()}
    for name, values in found.items():
        tally.add_values(name, values, np.ones(len(real)), patients)
    pixels = lesion.sum(axis=(1, 2))
    errors = np.where(lesion, np.abs(synthetic - real), 0).sum(axis=(1, 2), dtype=np.float64)
    tally.add_values("lesion_mae", errors / np.maximum(pixels, 1), pixels, patients)


def _summarised(
    real: _Tally, tallies: Mapping[str, _Tally], baselines: Collection[str], extractors, counts, threads
) -> CheckpointScores:
    table, drawn, lesion = {}, {}, {}
    for name, tally in tallies.items():
        means = {metric: tally.patient_means(metric) for metric in tally.sums}
        inside = list(means.pop("lesion_mae").values())
        lesion[name] = float(np.mean(inside)) if inside else None
        table[name] = {metric: float(np.mean(list(values.values()))) for metric, values in means.items()}
        drawn[name] = {metric: resampled_means(list(values.values()), counts) for metric, values in means.items()}
    compared = {name: tally for name, tally in tallies.items() if name not in baselines}
    for one in extractors:
        standard = one.standard(real.sets[one.frechet].moments)
        for name, tally in tallies.items():
            found = set_distances(real.sets[one.frechet], tally.sets[one.frechet], standard)
            table[name] |= {one.frechet: found["frechet"], one.kernel: found["kernel"]}
        for name, values in _drawn_distances(one, standard, real, compared, counts, threads).items():
            drawn[name][one.frechet] = values
    return CheckpointScores(
        {name: table[name] for name in compared},
        {name: table[name] for name in baselines},
        {name: drawn[name] for name in compared},
        lesion,
    )


def _drawn_distances(one: Extractor, standard: Standard, real: _Tally, tallies: Mapping[str, _Tally], counts, threads):
    """The extractor's Frechet distance of each checkpoint in every draw."""
    parts = {name: tally.moments[one.frechet].by_patient for name, tally in {"": real, **tallies}.items()}
    patients = sorted(parts[""])
    ordered = {name: [standard.of(found[patient]) for patient in patients] for name, found in parts.items()}
    return resampled_distances(ordered.pop(""), ordered, counts, threads)
