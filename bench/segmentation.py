"""Time the segmentation from volumes to Dice, against nnU-Net's own commands on the same cases.

    python bench/segmentation.py                                   # the demonstration's numbers, one fold, three seeds
    python bench/segmentation.py --folds 0 1 2 3 4 --seeds 1 --repeats 1
    python bench/segmentation.py --cases 1 --epochs 2 --iterations 2 --seeds 1 --repeats 1   # a quick check

Ours are the stage scripts in a temporary project: plan_and_preprocess, train_segmentation, evaluate_segmentation.
Theirs are nnUNetv2_plan_and_preprocess, _train, _predict and _evaluate_folder. Both train the same network (smallPlans)
with the same parameters on the same folds and patch sizes, and predict the same test and external volumes. Parts take
turns, so other load affects both sides equally: the ratios are more reliable than the seconds. On a CPU with bfloat16,
ours uses it; nnU-Net has only float32 there. If timm is missing, the commands find an empty package in the temporary
folder.
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import yaml
from nnunet_commands import DATASET, PLANS, NnUNet, timed
from scipy.stats import ttest_ind

from pre2post.core.device import best_device
from pre2post.core.errors import run_stage
from pre2post.core.files import read_json, read_table, write_json
from pre2post.core.paths import NNUNET, PARAMS, PLOTS, SEGMENTERS, SPLITS, SYNTHETIC, VOLUMES

ROOT = Path(__file__).resolve().parents[1]
TIMES_AS_FAST = 3.0  # target of ours, end to end
START_S = 6.0  # target of a training, until its first step
STARTS = 3  # trainings of one step to measure it
CONFIDENCE = 0.95  # of the interval of the difference in Dice
BOTH_BREASTS = ("train_crop", "score_region")  # parameters; nnU-Net's commands do not crop to one breast
TRAINED_ALIKE = (
    "epochs",
    "num_iterations_per_epoch",
    "batch_size",
    "learning_rate",
    "oversample_foreground",
    "folds",
    "use_mirroring",
)
OURS, THEIRS, END_TO_END = "ours", "nnU-Net", "end to end"
OWN, EVERYTHING = ["plan", "train", "test"], ["plan", "train", "predict", "evaluate"]
EXTRAS = ["validation", "epoch ends"]
# Rows of the table: parts of ours, parts of theirs, and parts of theirs to subtract, which ours does not have.
ROWS = [
    ("planning and preprocessing", ["plan"], ["plan"], []),
    ("training", ["train"], ["train"], []),
    ("training, without nnU-Net's final validation", ["train"], ["train"], ["validation"]),
    ("training, also without its plots and checkpoints per epoch", ["train"], ["train"], EXTRAS),
    ("prediction and evaluation", ["test"], ["predict", "evaluate"], []),
    (END_TO_END, OWN, EVERYTHING, []),
    (f"{END_TO_END}, without nnU-Net's final validation", OWN, EVERYTHING, ["validation"]),
    (f"{END_TO_END}, also without its plots and checkpoints per epoch", OWN, EVERYTHING, EXTRAS),
]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-segmentation-") as folder:
        result = measure(options, Path(folder))
    print(table(result))
    if options.json:
        write_json(options.json, result)


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """Return the seconds of every part in every round, and the mean Dice of each round, of both sides."""
    import torch

    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # for both sides, as in the Makefile
    load = os.getloadavg()[0]
    ours = Project(folder / "ours", options)
    theirs = NnUNet(folder / "theirs", ours.matched(), best_device(), options.processes)
    clock, dice = Clock(), {OURS: [], THEIRS: []}
    rounds = {OURS: options.seeds, THEIRS: options.repeats}
    images, labels = test_volumes(folder, ours.tested(), options.phase)
    steps = [
        (OURS, ours.plan),
        (THEIRS, lambda: theirs.plan(ours.raw)),
        (OURS, ours.train),
        (THEIRS, lambda: theirs.train(ours.plans(), ours.splits())),
        (OURS, ours.test),
        (THEIRS, lambda: theirs.test(images, labels)),
    ]
    for turn in range(max(rounds.values())):
        ours.use(ours.seed + turn)
        for side, step in steps:
            if turn < rounds[side]:
                clock.note(side, step())
        for side, found in ((OURS, ours), (THEIRS, theirs)):
            if turn < rounds[side]:
                dice[side].append(found.dice())
    ours.use(ours.seed, epochs=1, num_iterations_per_epoch=1)
    for _ in range(STARTS):
        clock.note(OURS, {"start": ours.train_one(ours.study["folds"][0])})
    check_same_cases(dice)
    return {
        "device": theirs.device,
        "cores": os.cpu_count(),
        "load": load,
        "torch": torch.__version__,
        "nnunetv2": version("nnunetv2"),
        "timm_is_empty": theirs.timm_is_empty,
        "mix": options.mix,
        "phase": options.phase,
        "processes": options.processes or "default",
        **theirs.matched,
        "patients": ours.patients,
        "cases": len(dice[OURS][0]),
        "seconds": clock.seconds,
        "dice": {side: [mean(found) for found in dice[side]] for side in dice},
    }


class Clock:
    """Collect the seconds of both sides by part and round, and print them."""

    def __init__(self):
        self.seconds = {OURS: defaultdict(list), THEIRS: defaultdict(list)}

    def note(self, side: str, parts: dict[str, float]) -> None:
        for part, seconds in parts.items():
            self.seconds[side][part].append(seconds)
        print(
            f"{side}: {', '.join(f'{part} {seconds:.1f} s' for part, seconds in parts.items())}",
            file=sys.stderr,
            flush=True,
        )


class Project:
    """This repository's stage scripts in a temporary folder. Methods that run one return seconds by part."""

    def __init__(self, folder: Path, options: argparse.Namespace):
        self.folder, self.mix = folder, options.mix
        (folder / VOLUMES).parent.mkdir(parents=True)
        for shared in (Path("src"), VOLUMES, SYNTHETIC):
            (folder / shared).symlink_to(ROOT / shared)
        splits = read_json(ROOT / SPLITS)
        write_json(folder / SPLITS, cut(splits, options.cases))
        self.params = yaml.safe_load((ROOT / PARAMS).read_text(encoding="utf-8"))
        self.seed, self.study = self.params["seed"], self.params["segmentation"]
        self.study |= {
            "train": [options.mix],
            "folds": options.folds,
            "test_phases": [options.phase],
            "plan": "small",
            "warmup_epochs": 0,  # as nnU-Net
            "min_validation_dice": 0.0,  # a training of one step learns nothing
        }
        self.study |= dict.fromkeys(BOTH_BREASTS, "both")
        self.study |= {
            name: getattr(options, name)
            for name in ("epochs", "num_iterations_per_epoch", "use_mirroring")
            if getattr(options, name) is not None
        }
        self.patients = sum(map(len, read_json(folder / SPLITS)["folds"]))

    def use(self, seed: int, **numbers: int) -> None:
        """Write params.yaml with this seed and these parameters of the segmentation."""
        self.params["seed"] = seed
        self.study |= numbers
        (self.folder / PARAMS).write_text(yaml.safe_dump(self.params, sort_keys=False), encoding="utf-8")

    def matched(self) -> dict:
        """Return the parameters that nnU-Net uses too."""
        return {name: self.study[name] for name in TRAINED_ALIKE}

    def tested(self) -> list[str]:
        splits = read_json(self.folder / SPLITS)
        return splits["test"] + splits["external"]

    def plan(self) -> dict[str, float]:
        return {"plan": self._run("plan_and_preprocess")}

    def train(self) -> dict[str, float]:
        return {"train": sum(self.train_one(fold) for fold in self.study["folds"])}

    def train_one(self, fold: int) -> float:
        return self._run("train_segmentation", "--mix", self.mix, "--fold", fold)

    def test(self) -> dict[str, float]:
        """Run prediction and evaluation, one stage for test and external cases."""
        return {"test": self._run("evaluate_segmentation")}

    def dice(self) -> dict[str, float]:
        """Return the Dice of every test and external case."""
        return {row["case"]: float(row["dice"]) for row in read_table(self.folder / PLOTS / "segmentation.csv")}

    @property
    def raw(self) -> Path:
        """Return the folder of nnU-Net's raw dataset, written by plan_and_preprocess."""
        return self.folder / NNUNET / "nnUNet_raw" / DATASET

    def plans(self) -> dict:
        return read_json(self.folder / NNUNET / "nnUNet_preprocessed" / DATASET / f"{PLANS}.json")

    def splits(self) -> list[dict]:
        """Return the folds of a training, from nnU-Net's splits_final.json."""
        trained = self.folder / SEGMENTERS / f"{self.mix}_{self.study['folds'][0]}"
        return read_json(trained / DATASET / "splits_final.json")

    def _run(self, stage: str, *words) -> float:
        return timed([sys.executable, f"src/{stage}.py", *words], self.folder / "log.txt", self.folder)


def cut(splits: dict, most: int | None) -> dict:
    """Return the splits with at most so many patients per fold, and in the test and external split."""
    dropped = {patient for fold in splits["folds"] for patient in fold[most:]} if most else set()
    return splits | {
        "folds": [fold[:most] for fold in splits["folds"]],
        "validation": [patient for patient in splits["validation"] if patient not in dropped],
        "test": splits["test"][:most],
        "external": splits["external"][:most],
    }


def test_volumes(folder: Path, cases: list[str], phase: str) -> tuple[Path, Path]:
    """Link the images and masks of the cases with this phase, under nnU-Net's names, and return the two folders."""
    images, labels = folder / "images", folder / "labels"
    images.mkdir(), labels.mkdir()
    for case in cases:
        image = ROOT / VOLUMES / case / f"{phase}.nii"
        if image.is_file():
            (images / f"{case}_0000.nii.gz").symlink_to(image)
            (labels / f"{case}.nii.gz").symlink_to(image.with_name("mask.nii.gz"))
    return images, labels


def check_same_cases(dice: dict[str, list[dict[str, float]]]) -> None:
    """End the measurement if a round was tested on other cases than the first round of ours."""
    expected = dice[OURS][0].keys()
    for side, rounds in dice.items():
        for found in rounds:
            if odd := found.keys() ^ expected:
                sys.exit(f"error: {side} was tested on other cases; found: {', '.join(sorted(odd))} on one side only")


def mean(dice: dict[str, float]) -> float:
    """Return the mean over cases. If both masks are empty, nnU-Net gives NaN and skips the case, ours gives 1."""
    return statistics.mean(value for value in dice.values() if not math.isnan(value))


def table(result: dict) -> str:
    """Return the results in Markdown."""
    timm = (
        "is replaced by an empty package: nnU-Net imports it to find classes, but does not use it here"
        if result["timm_is_empty"]
        else "is installed"
    )
    lines = [
        f"\nMix {result['mix']}, folds {result['folds']} of {result['patients']} patients, "
        f"{result['epochs']} x {result['num_iterations_per_epoch']} steps of {result['batch_size']} patches; tested on "
        f"{result['phase']} of {result['cases']} cases, use_mirroring {result['use_mirroring']}; {result['device']}, "
        f"{result['cores']} cores, load before {result['load']:.1f}; nnunetv2 {result['nnunetv2']} "
        f"(processes: {result['processes']}), torch {result['torch']}; timm {timm}\n",
        "| part | ours, median s | range | nnU-Net, median s | range | times as fast | of minima |",
        "|---" * 7 + "|",
    ]
    ratios = {}
    for name, own, other, without in ROWS:
        own, other = total(result["seconds"][OURS], own), total(result["seconds"][THEIRS], other, without)
        ratios[name] = statistics.median(other) / statistics.median(own)
        lines.append(
            f"| {name} | {statistics.median(own):.1f} | {min(own):.1f} to {max(own):.1f} | "
            f"{statistics.median(other):.1f} | {min(other):.1f} to {max(other):.1f} | {ratios[name]:.2f} | "
            f"{min(other) / min(own):.2f} |"
        )
    reached = "reached" if ratios[END_TO_END] >= TIMES_AS_FAST else "missed"
    lines.append(f"\nTarget, {TIMES_AS_FAST:g} times as fast {END_TO_END}: {reached}.")
    starts, others = (result["seconds"][side]["start"] for side in (OURS, THEIRS))
    start = statistics.median(starts)
    lines.append(
        f"Start of a training: ours at most {start:.1f} s ({min(starts):.1f} to {max(starts):.1f}), the time of a "
        "complete training of one step, with validation and checkpoint; nnU-Net "
        f"{statistics.median(others):.1f} s ({min(others):.1f} to {max(others):.1f}) until its first step. "
        f"Target, below {START_S:g} s: {'reached' if start < START_S else 'missed'}."
    )
    return "\n".join([*lines, "", *dice_table(result["dice"])])


def total(seconds: dict[str, list[float]], parts: Sequence[str], without: Sequence[str] = ()) -> list[float]:
    """Return the sum of the parts of each round, minus the parts to subtract."""
    rounds = range(len(seconds[parts[0]]))
    return [
        sum(seconds[part][turn] for part in parts) - sum(seconds[part][turn] for part in without) for turn in rounds
    ]


def dice_table(dice: dict[str, list[float]]) -> list[str]:
    """Return the mean Dice of both sides over trainings, and whether they differ by more than the noise of seeds."""
    lines = ["| mean Dice over cases | trainings | mean | SD | each |", "|---" * 5 + "|"]
    for side, values in dice.items():
        spread = f"{statistics.stdev(values):.3f}" if len(values) > 1 else "unknown"
        each = ", ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {side} | {len(values)} | {statistics.mean(values):.3f} | {spread} | {each} |")
    difference = statistics.mean(dice[OURS]) - statistics.mean(dice[THEIRS])
    if min(map(len, dice.values())) < 2:
        return [*lines, f"\nDifference {difference:+.3f}; its noise is unknown with one training per side."]
    interval = ttest_ind(dice[OURS], dice[THEIRS], equal_var=False).confidence_interval(CONFIDENCE)
    within = "is within" if interval.low <= 0 <= interval.high else "exceeds"
    return [
        *lines,
        f"\nDifference {difference:+.3f}, {CONFIDENCE:.0%} interval {interval.low:+.3f} to "
        f"{interval.high:+.3f} (Welch, over trainings): it {within} the noise of seeds.",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", default="post", help="a name in segmentation.mixes")
    parser.add_argument("--phase", default="post1", help="phase of the test volumes: pre, post1, post2")
    parser.add_argument("--folds", type=int, nargs="+", default=[0], help="trained one by one, then ensembled")
    parser.add_argument("--cases", type=_count, help="at most so many per fold and test split; default: all")
    parser.add_argument("--epochs", type=_count, help="default: as in params.yaml")
    parser.add_argument(
        "--iterations",
        type=_count,
        dest="num_iterations_per_epoch",
        help="training steps per epoch; default: as in params.yaml",
    )
    parser.add_argument(
        "--use-mirroring",
        action=argparse.BooleanOptionalAction,
        help="for both sides; default: as in params.yaml. nnU-Net's final validation always mirrors",
    )
    parser.add_argument("--seeds", type=_count, default=3, help="rounds of ours, each with another seed")
    parser.add_argument("--repeats", type=_count, default=3, help="rounds of nnU-Net, which has no seed")
    parser.add_argument(
        "--processes",
        type=_count,
        help="size of each of nnU-Net's pools; its defaults are 3 to 8 on every machine",
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


if __name__ == "__main__":
    run_stage(main)
