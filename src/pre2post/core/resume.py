"""Where a long stage keeps what it needs to carry on after being killed: never in an output, which DVC deletes."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from pre2post.core.files import sha256_of


def resume_folder(stage: str, settings: dict, files: Iterable[Path]) -> Path:
    """The folder of this very run: its name is a hash of the settings and of the content of data and code files."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in sorted(map(Path, files)):
        digest.update(file.name.encode() + sha256_of(file).encode())
    return resume_root() / stage / digest.hexdigest()[:16]


def resume_root() -> Path:
    """The folder of all stages; in the main workspace (DVC_ROOT) also when an experiment runs in a temporary copy."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".resume"
