"""Check all of params.yaml, and the conditions between its sections, before anything is computed.

Every stage reads its own sections only. This one runs first whenever a parameter changes. Its output never changes, so
it re-runs no other stage.
"""

from pre2post.core.errors import run_stage
from pre2post.core.files import write_json
from pre2post.core.paths import PARAMS_CHECKED
from pre2post.pipeline.params import Params


def main() -> None:
    Params.read()
    write_json(PARAMS_CHECKED, {"valid": True})


if __name__ == "__main__":
    run_stage(main)
