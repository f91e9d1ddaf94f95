"""Folders in which long stages save their state, to resume after being killed.

They are not outputs, since DVC deletes outputs before a stage runs.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pre2post.core.files import sha256_of


def resume_folder(stage: str, settings: Mapping[str, Any], files: Iterable[Path]) -> Path:
    """Return the folder of a run, named by a hash of its settings and of the content of its data and code files."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in sorted(map(Path, files)):
        digest.update(file.name.encode() + sha256_of(file).encode())
    return resume_root() / stage / digest.hexdigest()[:16]


def resume_root() -> Path:
    """Return the folder of all stages.

    It is in the main workspace (DVC_ROOT) even when an experiment runs in a temporary copy.
    """
    return Path(os.environ.get("DVC_ROOT", ".")) / ".resume"
