"""The eight metrics of the challenge MAMA-SYNTH 2026: collect cases one by one, then write the table.

Means, and the cases left out of a metric, are those of the challenge's evaluator. The table gives the reason for each
case that is left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pre2post.core.errors import InputError
from pre2post.features.radiomics_features import radiomics_features
from pre2post.image.volume import Volume
from pre2post.io.single_slice import SingleSlice
from pre2post.mama_synth.classifiers import FEATURES, MIN_CASES, Classifier, auroc, region_features
from pre2post.mama_synth.metrics import hausdorff_95, lpips_range, tumour_ssim
from pre2post.mama_synth.mirror import mirrored_region
from pre2post.metrics.frd import frd
from pre2post.metrics.pixel import mse

METRICS = ("mse", "lpips", "ssim_tumor", "frd", "auroc_contrast", "auroc_tumor_roi", "dice", "hausdorff_95")
TUMOUR_METRICS = ("ssim_tumor", "frd", "auroc_tumor_roi", "dice", "hausdorff_95")
FRD_VERSION = "v1"
EMPTY = "the mask is empty"


@dataclass(frozen=True)
class Case:
    """The slices of one case, z-scored, with one geometry; the mask's pixels are 0 and 1."""

    id: str
    synthetic: SingleSlice
    real: SingleSlice
    mask: SingleSlice
    pre: SingleSlice | None = None


@dataclass(frozen=True)
class Tools:
    """Functions and classifiers that some metrics need; a metric whose tool is None is not computed.

    Attributes:
        dice: Dice of two masks.
        perceptual: LPIPS of a real and a synthetic image (h, w) in [-1, 1].
        segment: The predicted mask (h, w) of a case.
        contrast, tumour_roi: Classifiers by file.
        missing: {metric: reason why it is not computed}.
    """

    dice: Callable[[np.ndarray, np.ndarray], float]
    perceptual: Callable[[np.ndarray, np.ndarray], float] | None = None
    segment: Callable[[Case], np.ndarray] | None = None
    contrast: Mapping[Any, Classifier] | None = None
    tumour_roi: Mapping[Any, Classifier] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


class Table:
    """Collect cases one by one, keep only values and features, and summarise them."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.values: dict[str, dict[str, float]] = {}
        self.left_out: dict[str, dict[str, str]] = {}
        self.substituted: dict[str, dict[str, str]] = {}
        self.not_computed: dict[str, str] = dict(tools.missing)
        self.sets: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {
            metric: ([], []) for metric in ("frd", "auroc_contrast", "auroc_tumor_roi")
        }

    def add(self, case: Case) -> None:
        """Add one case to every metric."""
        real, synthetic, mask = case.real.image, case.synthetic.image, case.mask.image != 0
        self.values[case.id] = {"mse": float(mse(real, synthetic))}
        if self.tools.perceptual:
            self.values[case.id]["lpips"] = float(self.tools.perceptual(lpips_range(real), lpips_range(synthetic)))
        if mask.any():
            self.values[case.id]["ssim_tumor"] = tumour_ssim(real, synthetic, mask)
            self._add_radiomics(case)
            self._add_segmentation(case, mask)
        else:
            for metric in TUMOUR_METRICS:
                self._leave_out(metric, case, EMPTY)
        self._add_regions(case, mask)

    def _add_radiomics(self, case: Case) -> None:
        """Add features of the tumour for FRD. As in the challenge, one tumour without features means no FRD at all."""
        mask = _as_frd_score_reads(case.mask)
        try:
            both = [
                radiomics_features([_as_frd_score_reads(image)], [mask], FRD_VERSION)
                for image in (case.real, case.synthetic)
            ]
        except InputError as error:
            self.not_computed.setdefault("frd", f"case {case.id}: {error.problem} ({error.found})")
            return
        if not both[0].used:
            self._leave_out("frd", case, "the mask has a single pixel")
            return
        for rows, found in zip(self.sets["frd"], both, strict=True):
            rows.append(found.values[0])

    def _add_segmentation(self, case: Case, mask: np.ndarray) -> None:
        if self.tools.segment is None:
            return
        predicted = np.asarray(self.tools.segment(case)) != 0
        if not predicted.any():
            for metric in ("dice", "hausdorff_95"):
                self._leave_out(metric, case, "the predicted mask is empty")
            return
        self.values[case.id] |= {
            "dice": float(self.tools.dice(predicted, mask)),
            "hausdorff_95": hausdorff_95(predicted, mask),
        }

    def _add_regions(self, case: Case, mask: np.ndarray) -> None:
        """Add features of the tumour in the synthetic and pre-contrast image, and of the opposite region."""
        synthetic, tumour = case.synthetic.image, None
        if self.tools.contrast and case.pre is not None:
            region = mask if mask.any() else np.ones_like(mask)
            if not mask.any():
                self._note(self.substituted, "auroc_contrast", case, f"the entire image is used: {EMPTY}")
            tumour = self._features("auroc_contrast", case, synthetic, region)
            self._append("auroc_contrast", tumour, self._features("auroc_contrast", case, case.pre.image, region))
        if self.tools.tumour_roi and mask.any():
            opposite = mirrored_region(synthetic, mask)
            if opposite.mask is None or np.array_equal(opposite.mask, mask):
                self._leave_out("auroc_tumor_roi", case, opposite.reason or "the mirrored region is the tumour itself")
                return
            tumour = self._features("auroc_tumor_roi", case, synthetic, mask) if tumour is None else tumour
            self._append("auroc_tumor_roi", tumour, self._features("auroc_tumor_roi", case, synthetic, opposite.mask))

    def _features(self, metric: str, case: Case, image: np.ndarray, region: np.ndarray) -> np.ndarray:
        """Return the features of a region; zeros if it has none, as in the challenge."""
        try:
            return region_features(image, region)
        except InputError as error:
            self._note(self.substituted, metric, case, f"features of a region are set to 0: {error.found}")
            return np.zeros(FEATURES)

    def _append(self, metric: str, positive: np.ndarray, negative: np.ndarray) -> None:
        for rows, found in zip(self.sets[metric], (positive, negative), strict=True):
            rows.append(found)

    def _leave_out(self, metric: str, case: Case, reason: str) -> None:
        if metric not in self.not_computed:
            self._note(self.left_out, metric, case, reason)

    def _note(self, block: dict[str, dict[str, str]], metric: str, case: Case, reason: str) -> None:
        block.setdefault(metric, {})[case.id] = reason

    def summary(self) -> dict[str, Any]:
        """Return the table.

        <metric>: Mean over the cases. "frd" is that of the package frd-score, as in the challenge.
        frd_exact: The FRD without the package's numerical error; frd_version: Its version.
        n: Number of cases per metric.
        not_computed: The reason for each missing metric.
        left_out, substituted: {metric: {case: reason}}.
        aggregates, case: As the challenge's evaluator writes them.

        Raises InputError for a classifier that cannot be used with the features.
        """
        found: dict[str, dict[str, Any]] = {}
        for metric in METRICS:
            if metric not in self.not_computed:
                value = self._of_set(metric) if metric in self.sets else self._of_cases(metric)
                if value is not None:
                    found[metric] = value
        more = {"frd_exact": found["frd"].pop("exact"), "frd_version": FRD_VERSION} if "frd" in found else {}
        return {
            **{metric: value["mean"] for metric, value in found.items()},
            **more,
            "n": {metric: value.pop("n") for metric, value in found.items()},
            "not_computed": _ordered(self.not_computed),
            "left_out": _ordered(self.left_out),
            "substituted": _ordered(self.substituted),
            "aggregates": found,
            "case": self.values,
        }

    def _of_cases(self, metric: str) -> dict[str, Any] | None:
        values = [row[metric] for row in self.values.values() if metric in row]
        if not values:
            self.not_computed[metric] = "every case is left out"
            return None
        return {"mean": float(np.mean(values)), "std": float(np.std(values)), "n": len(values)}

    def _of_set(self, metric: str) -> dict[str, Any] | None:
        """Return an AUROC or FRD over the cases with features; None if these are too few."""
        first, second = self.sets[metric]
        if len(first) < MIN_CASES:
            self.not_computed[metric] = f"{len(first)} cases have features, {MIN_CASES} are needed"
            return None
        if metric == "frd":
            return self._frd(np.array(first), np.array(second))
        classifiers = self.tools.contrast if metric == "auroc_contrast" else self.tools.tumour_roi
        assert classifiers is not None  # without them no features are collected
        return {"mean": auroc(classifiers, first, second), "n": len(first)}

    def _frd(self, real: np.ndarray, synthetic: np.ndarray) -> dict[str, Any] | None:
        try:
            official, exact = (frd(real, synthetic, FRD_VERSION, package=package) for package in (True, False))
        except InputError as error:
            self.not_computed["frd"] = f"{error.problem} ({error.found})"
            return None
        if not np.isfinite([official.value, exact.value]).all():
            self.not_computed["frd"] = "the real and synthetic features are equal: the logarithm of 0 is infinite"
            return None
        return {"mean": official.value, "n": min(exact.n_real, exact.n_synthetic), "exact": exact.value}


def _ordered(block: Mapping[str, Any]) -> dict[str, Any]:
    return {metric: block[metric] for metric in METRICS if metric in block}


def _as_frd_score_reads(image: SingleSlice) -> Volume:
    """Return a slice as frd-score reads it: without the origin and direction of a two-dimensional file."""
    return Volume(image.volume.array, image.volume.spacing) if image.flat else image.volume
