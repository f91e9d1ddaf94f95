"""nnU-Net as its users run it: the commands of the package, one process after the other, in folders of their own."""

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
# All that nnU-Net's networks import of timm. None uses it here, but nnU-Net imports all of its modules to find a class.
TIMM = {
    "__init__": (),
    "layers": ("PatchDropout", "trunc_normal_", "apply_keep_indices_nlc", "RotaryEmbeddingCat"),
    "models/__init__": (),
    "models/eva": ("EvaBlock",),
}
LAST_LINES = 15  # of a failed command's output


def timed(command: Sequence, log: Path, folder: Path | None = None, environment: dict | None = None) -> float:
    """Seconds of a command; what it says goes to `log`, and its end to the user where it fails."""
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
        """`matched` has epochs, iterations, batch_size, learning_rate, folds (numbers) and use_mirroring."""
        self.folder, self.matched, self.device = folder, matched, device
        self.raw, self.preprocessed = (folder / name / DATASET for name in ("nnUNet_raw", "nnUNet_preprocessed"))
        trainers = folder / "trainers"
        trainers.mkdir(parents=True)
        shutil.copyfile(TRAINER, trainers / TRAINER.name)
        write_json(trainers / "matched.json", matched)
        # Whatever the user has set for nnU-Net does not count: processes, threads and compilation are its defaults.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")} | {
            "nnUNet_raw": str(self.raw.parent),
            "nnUNet_preprocessed": str(self.preprocessed.parent),
            "nnUNet_results": str(folder / "nnUNet_results"),
            "nnUNet_extTrainer": str(trainers),
        }
        self.pools = []
        if processes:
            self.pools = ["-npfp", processes, "-np", processes]
            self.environment |= dict.fromkeys(("nnUNet_def_n_proc", "nnUNet_npp", "nnUNet_nps"), str(processes))
        self.stands_in = importlib.util.find_spec("timm") is None
        if self.stands_in:
            write_stand_in(folder / "stand_in" / "timm")
            self.environment["PYTHONPATH"] = str(folder / "stand_in")

    def plan(self, raw: Path) -> dict[str, float]:
        """Copies the raw dataset, which is not timed, then plans and preprocesses it."""
        for old in (self.raw, self.preprocessed):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(raw, self.raw)
        return {"plan": self._run("nnUNetv2_plan_and_preprocess", "-d", NUMBER, "-c", CONFIGURATION, *self.pools)}

    def train(self, plans: dict, splits: list[dict]) -> dict[str, float]:
        """Trains every fold of the splits, one after the other, by these plans on the data of nnU-Net's own plan.

        "train" is all of it. Of that, "validation" predicts the fold's own patients, with use_mirroring, and "epoch ends"
        draw and save. "start" is what a fold takes until its first step, on average.
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
        whole = self._run(
            "nnUNetv2_train", NUMBER, CONFIGURATION, fold, "-tr", "MatchedTrainer", "-p", PLANS, "-device", self.device
        )
        times = read_json(self._results / f"fold_{fold}" / "times.json")
        return {
            "train": whole,
            "start": times["first_step"] - start,
            "epoch ends": times["epoch_ends_s"],
            "validation": times["validated"] - times["trained"],
        }

    def test(self, images: Path, labels: Path) -> dict[str, float]:
        """Predicts <case>_0000.nii.gz by the ensemble of all folds, and compares with <case>.nii.gz."""
        shutil.rmtree(self._predicted, ignore_errors=True)
        use_mirroring = [] if self.matched["use_mirroring"] else ["--disable_tta"]
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
            *use_mirroring,
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
        """Dice of every case of the test, by nnUNetv2_evaluate_folder; NaN where both masks are empty."""
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


def write_stand_in(package: Path) -> None:
    """Write an empty package of that name: code that uses anything of it fails at once."""
    for module, names in TIMM.items():
        file = package / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name} = None\n" for name in names))
