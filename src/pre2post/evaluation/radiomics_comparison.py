"""Frechet radiomics distances (FRD) of the lesions of a split, in all their slices.

FRD has up to 464 features. With fewer slices its value depends on their number, and versions v0 and v1 may rank methods
in opposite order: docs/explanation/limitations.md. So it is computed on request and not among the headline results.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from pre2post.core.errors import InputError
from pre2post.evaluation.set_comparison import HALVES
from pre2post.features.radiomics_features import VERSIONS, radiomics_features
from pre2post.metrics.frd import frd


class RadiomicsComparison:
    """Collects one feature vector per lesion slice, set and version."""

    def __init__(self) -> None:
        self._features: dict[str, dict[str, list[np.ndarray]]] = {version: {} for version in VERSIONS}

    def add_patient(
        self, case: str, volumes: Mapping[str, np.ndarray], lesion: np.ndarray, spacing: tuple[float, float]
    ) -> None:
        """Add the lesion (z, y, x), bool, of one patient in the volume (z, y, x) of each set, normalised.

        spacing: width and height of a pixel in mm. Slices with too little lesion for radiomics are left out of every
        set; a printed message names patients without any other slice.
        """
        added = [self._add_slice(volumes, lesion, int(z), spacing) for z in np.flatnonzero(lesion.any(axis=(1, 2)))]
        if not any(added):
            print(f"case {case} is left out of FRD: the lesion is too small in every slice")

    def _add_slice(
        self, volumes: Mapping[str, np.ndarray], lesion: np.ndarray, z: int, spacing: tuple[float, float]
    ) -> bool:
        images, masks = [volume[z] for volume in volumes.values()], [lesion[z]] * len(volumes)
        try:
            found = {version: radiomics_features(images, masks, version, spacing) for version in VERSIONS}
        except InputError:
            return False
        if any(len(features.used) < len(volumes) for features in found.values()):
            return False
        for version, features in found.items():
            for name, row in zip(volumes, features.values, strict=True):
                self._features[version].setdefault(name, []).append(row)
        return True

    def rows(self, real: str) -> Iterator[dict]:
        """Yield rows like SetComparison.rows, with n in slices; `real` is the name of the real set.

        Sets of fewer than two slices have no distance and no row.
        """
        for version, sets in self._features.items():
            rows = sets.get(real, [])
            pairs = {name: (rows, other) for name, other in sets.items() if name != real}
            pairs[HALVES] = (rows[: len(rows) // 2], rows[len(rows) // 2 :])  # patients follow each other
            for name, (first, second) in pairs.items():
                if min(len(first), len(second)) >= 2:
                    found = frd(first, second, version)
                    yield {
                        "distance": f"frd_{version}",
                        "compared": name,
                        "value": found.value,
                        "n_real": found.n_real,
                        "n": found.n_synthetic,
                    }
