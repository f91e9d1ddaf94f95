"""Check params.yaml completely, including conditions between sections, before any other stage runs.

Other stages read only their own sections. This stage runs first after every change of a parameter. Its output is
constant, so that it never re-runs other stages.
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
