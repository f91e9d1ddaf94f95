"""Section `ingest` of params.yaml, where comments explain units and reasons."""

import os
from typing import Literal

from pre2post.core.section import Count, Name, NotNegative
from pre2post.image.params import IntensityParams


class IngestParams(IntensityParams):
    cohort: str
    layout: Name
    workers: Literal["auto"] | Count
    on_error: Literal["raise", "skip"]
    register_above_mm: NotNegative
    min_lesion_ml: NotNegative

    @property
    def processes(self) -> int:
        """Return the number of worker processes on this machine."""
        return os.cpu_count() or 1 if self.workers == "auto" else self.workers
