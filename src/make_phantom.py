"""Writes the embedded cohort, simulated breast MRI as DICOM in the Duke layout, into a folder of its own."""

import argparse
from pathlib import Path

from pre2post.core.errors import InputError, run_stage


def main() -> None:
    arguments = _arguments()
    from pre2post.phantom.cohort import write_cohort

    if arguments.matrix < 16 or arguments.slices < 4 or arguments.seed < 0:
        raise InputError(
            "a setting is out of range",
            expected="--matrix 16 or more, --slices 4 or more, --seed 0 or more",
            found=f"--matrix {arguments.matrix} --slices {arguments.slices} --seed {arguments.seed}",
        )
    new = write_cohort(
        arguments.output, arguments.cases, arguments.seed, arguments.matrix, arguments.slices, arguments.workers
    )
    print(f"{arguments.output}: {'written' if new else 'complete already, nothing to do'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("data"), help="folder to write: absent, or a phantom")
    parser.add_argument("--cases", type=int, default=58, help="patients")
    parser.add_argument("--seed", type=int, default=2026, help="of all that is random")
    parser.add_argument("--matrix", type=int, default=128, help="pixels a side at site A")
    parser.add_argument("--slices", type=int, default=24, help="slices at site A")
    parser.add_argument("--workers", type=int, default=None, help="processes; default: one a core")
    return parser.parse_args()


if __name__ == "__main__":
    run_stage(main)
