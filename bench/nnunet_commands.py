"""nnU-Net as its users run it: the commands of the package, one process after the other, in separate folders."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pre2post.core.files import read_json, write_json

DATASET, NUMBER, CONFIGURATION, PLANS = "Dataset200_pre2post", "200", "3d_fullres", "smallPlans"
TRAINER = Path(__file__).with_name("matched_trainer.py")
# The names that nnU-Net's networks import from timm. They are not used here, but nnU-Net imports all of its modules.
TIMM = {
    "__init__": (),
    "layers": ("PatchDropout", "trunc_normal_", "apply_keep_indices_nlc", "RotaryEmbeddingCat"),
    "models/__init__": (),
    "models/eva": ("EvaBlock",),
}
LAST_LINES = 15  # of a failed command's output


def timed(command: Sequence, log: Path, folder: Path | None = None, environment: dict | None = None) -> float:
    """Return the seconds of a command; its output goes to `log`. If it fails, print its last lines and exit."""
    start = time.perf_counter()
    with open(log, "a", encoding="utf-8") as output:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    if done.returncode:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
        sys.exit(f"error: {' '.join(map(str, command))}: exit code {done.returncode}; found:\n{end}")
    return time.perf_counter() - start


class NnUNet:
    """nnU-Net's commands on one raw dataset. Methods that run one return seconds by part."""

    def __init__(self, folder: Path, matched: dict, device: str, processes: int | None = None):
        """Set up the folders. `matched` holds the parameters that both sides share, by their names in params.yaml."""
        self.folder, self.matched, self.device = folder, matched, device
        self.raw, self.preprocessed = (folder / name / DATASET for name in ("nnUNet_raw", "nnUNet_preprocessed"))
        trainers = folder / "trainers"
        trainers.mkdir(parents=True)
        shutil.copyfile(TRAINER, trainers / TRAINER.name)
        write_json(trainers / "matched.json", matched)
        # Variables that the user set for nnU-Net are dropped: processes, threads and compilation are its defaults.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")} | {
            "nnUNet_raw": str(self.raw.parent),
            "nnUNet_preprocessed": str(self.preprocessed.parent),
            "nnUNet_results": str(folder / "nnUNet_results"),
            "nnUNet_extTrainer": str(trainers),
        }
        self.pools: list[str | int] = []
        if processes:
            self.pools = ["-npfp", processes, "-np", processes]
            self.environment |= dict.fromkeys(("nnUNet_def_n_proc", "nnUNet_npp", "nnUNet_nps"), str(processes))
        self.timm_is_empty = importlib.util.find_spec("timm") is None
        if self.timm_is_empty:
            write_empty_timm(folder / "empty" / "timm")
            self.environment["PYTHONPATH"] = str(folder / "empty")

    def plan(self, raw: Path) -> dict[str, float]:
        """Copy the raw dataset, which is not timed, then plan and preprocess it."""
        for old in (self.raw, self.preprocessed):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(raw, self.raw)
        return {"plan": self._run("nnUNetv2_plan_and_preprocess", "-d", NUMBER, "-c", CONFIGURATION, *self.pools)}

    def train(self, plans: dict, splits: list[dict]) -> dict[str, float]:
        """Train every fold of the splits, one after the other, with these plans on the data of nnU-Net's own plan.

        "train" is the complete time. Its parts: "validation" predicts the held-out patients, with mirroring; "epoch
        ends" are plots and checkpoints. "start" is the mean time of a fold until its first step.
        """
        plans["configurations"][CONFIGURATION]["batch_size"] = self.matched["batch_size"]
        write_json(self.preprocessed / f"{PLANS}.json", plans)
        write_json(self.preprocessed / "splits_final.json", splits)
        shutil.rmtree(self.folder / "nnUNet_results", ignore_errors=True)
        folds = [self._train(fold) for fold in self.matched["folds"]]
        seconds = {part: sum(fold[part] for fold in folds) for part in folds[0]}
        return seconds | {"start": seconds["start"] / len(folds)}

    def _train(self, fold: int) -> dict[str, float]:
        start = time.time()
        complete = self._run(
            "nnUNetv2_train", NUMBER, CONFIGURATION, fold, "-tr", "MatchedTrainer", "-p", PLANS, "-device", self.device
        )
        times = read_json(self._results / f"fold_{fold}" / "times.json")
        return {
            "train": complete,
            "start": times["first_step"] - start,
            "epoch ends": times["epoch_ends_s"],
            "validation": times["validated"] - times["trained"],
        }

    def test(self, images: Path, labels: Path) -> dict[str, float]:
        """Predict <case>_0000.nii.gz with the ensemble of all folds, and compare with <case>.nii.gz."""
        shutil.rmtree(self._predicted, ignore_errors=True)
        no_mirroring = [] if self.matched["use_mirroring"] else ["--disable_tta"]
        predict = self._run(
            "nnUNetv2_predict",
            "-i",
            images,
            "-o",
            self._predicted,
            "-d",
            NUMBER,
            "-p",
            PLANS,
            "-tr",
            "MatchedTrainer",
            "-c",
            CONFIGURATION,
            "-f",
            *self.matched["folds"],
            *no_mirroring,
            "-device",
            self.device,
        )
        evaluate = self._run(
            "nnUNetv2_evaluate_folder",
            labels,
            self._predicted,
            "-djfile",
            self._results / "dataset.json",
            "-pfile",
            self._results / "plans.json",
        )
        return {"predict": predict, "evaluate": evaluate}

    def dice(self) -> dict[str, float]:
        """Return the Dice of every test case, from nnUNetv2_evaluate_folder; NaN if both masks are empty."""
        found = read_json(self._predicted / "summary.json")["metric_per_case"]
        return {Path(row["prediction_file"]).name.removesuffix(".nii.gz"): row["metrics"]["1"]["Dice"] for row in found}

    @property
    def _predicted(self) -> Path:
        return self.folder / "predicted"

    @property
    def _results(self) -> Path:
        return self.folder / "nnUNet_results" / DATASET / f"MatchedTrainer__{PLANS}__{CONFIGURATION}"

    def _run(self, command: str, *words) -> float:
        return timed(
            [Path(sys.executable).with_name(command), *words], self.folder / "log.txt", environment=self.environment
        )


def write_empty_timm(package: Path) -> None:
    """Write a package with the names of timm that nnU-Net imports, all None, so that any use fails at once."""
    for module, names in TIMM.items():
        file = package / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name} = None\n" for name in names))
