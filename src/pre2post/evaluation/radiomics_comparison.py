"""Frechet radiomics distances (FRD) of the lesions of a split, each in its largest slice."""

from collections.abc import Iterator, Mapping

import numpy as np

from pre2post.core.errors import InputError
from pre2post.evaluation.set_comparison import HALVES
from pre2post.features.radiomics_features import VERSIONS, radiomics_features
from pre2post.metrics.frd import frd


class RadiomicsComparison:
    """Collects one feature vector per patient, set and version."""

    def __init__(self) -> None:
        self._features: dict[str, dict[str, list[np.ndarray]]] = {version: {} for version in VERSIONS}

    @property
    def n(self) -> int:
        """Number of patients in the largest set so far."""
        return max(map(len, self._features[VERSIONS[0]].values()), default=0)

    def add_patient(
        self, case: str, volumes: Mapping[str, np.ndarray], lesion: np.ndarray, spacing: tuple[float, float]
    ) -> None:
        """Add the lesion (z, y, x), bool, of one patient in the volume (z, y, x) of each set, normalised.

        spacing: width and height of a pixel in mm. A lesion too small for radiomics is left out of every set, with a
        printed message.
        """
        z = int(lesion.sum(axis=(1, 2)).argmax())
        images, masks = [volume[z] for volume in volumes.values()], [lesion[z]] * len(volumes)
        try:
            found = {version: radiomics_features(images, masks, version, spacing) for version in VERSIONS}
            if any(len(features.used) < len(volumes) for features in found.values()):
                raise InputError("the lesion is too small", found=f"{np.count_nonzero(lesion[z])} pixels")
        except InputError as error:
            print(f"case {case} is left out of FRD: {error}")
            return
        for version, features in found.items():
            for name, row in zip(volumes, features.values, strict=True):
                self._features[version].setdefault(name, []).append(row)

    def rows(self, real: str) -> Iterator[dict]:
        """Yield rows like SetComparison.rows, with n in patients; `real` is the name of the real set.

        Sets of fewer than two patients have no distance and no row.
        """
        for version, sets in self._features.items():
            rows = sets.get(real, [])
            pairs = {name: (rows, other) for name, other in sets.items() if name != real}
            pairs[HALVES] = (rows[::2], rows[1::2])
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
