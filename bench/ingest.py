"""Time a case from DICOM to volumes, against plain reading and dicom2nifti, and the growth with the cohort.

    python bench/ingest.py           # full size: 160 slices of 512 x 512, 4 phases; then 10 to 1,000 small cases
    python bench/ingest.py --slices 16 --matrix 64 --rounds 1 --growth 5 10    # a quick check

Each contender reads the same files in its own process, and they take turns, so other load affects all equally: the
ratios are more reliable than the seconds. The files are in memory (page cache); reading from a disk adds the same time
to each. "plain reading" lists the files of a series with SimpleITK and reads them. dicom2nifti is not in
requirements.lock; without it (pip install dicom2nifti) its row is omitted.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np
import yaml
from pydicom import Dataset, FileMetaDataset
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from pre2post.core.errors import run_stage
from pre2post.image.itk import use_one_thread
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import ingest_case
from pre2post.pipeline.params import load_params

ROOT = Path(__file__).resolve().parents[1]
TIMES_READING, TIMES_DICOM2NIFTI, GIB_A_WORKER = 1.5, 3.0, 1.5  # targets of the ingestion
ELEMENTS, PRIVATE = 110, 60  # besides those that are read; a slice then has about 200, as in files of scanners
GROUPS = (0x0008, 0x0010, 0x0018, 0x0032, 0x0040)  # of the former, without position and pixels of a slice
NAMES = ("ax dyn pre", "ax dyn 1st pass", "ax dyn 2nd pass", "ax dyn 3rd pass")
SMALL = (8, 32)  # slices and matrix of the cases for the growth
GIB = 2.0**30


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        folder = Path(name)
        write_cases(folder / "full", 2, options.slices, options.matrix)
        _print_case(_rounds(folder / "full", options.rounds), options)
        print()
        _print_growth([grow(folder / str(count), count) for count in options.growth])


def write_cases(root: Path, count: int, slices: int, matrix: int) -> None:
    """Write cases in the Duke layout: noise on a ramp, signed 16 bit, 4 phases."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 600, matrix)
    rows = ["case,site,mask"]
    for number in range(count):
        case = f"Breast_MRI_{number:04d}"
        rows.append(f"{case},A,")
        for phase, description in enumerate(NAMES):
            pixels = (rng.rayleigh(40, (slices, matrix, matrix)) + ramp * (1 + 0.2 * phase)).astype("<i2")
            folder = root / "Duke-Breast-Cancer-MRI" / case / "study" / str(phase)
            write_series(folder, case, phase, description, pixels)
    (root / "cases.csv").write_text("\n".join(rows) + "\n")


def write_series(folder: Path, case: str, phase: int, description: str, pixels: np.ndarray) -> None:
    folder.mkdir(parents=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID, data.file_meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
    data.SOPClassUID, data.Modality, data.PatientID = MRImageStorage, "MR", case
    data.StudyInstanceUID, data.FrameOfReferenceUID = (generate_uid(entropy_srcs=[case, word]) for word in "sf")
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[case, str(phase)])
    data.SeriesDescription, data.SeriesNumber, data.AcquisitionTime = description, phase + 1, f"09{2 * phase:02d}00"
    data.Rows, data.Columns = pixels.shape[1:]
    data.PixelSpacing, data.ImageOrientationPatient, data.SliceThickness = [0.7, 0.7], [1, 0, 0, 0, 1, 0], 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    _add_others(data)
    for number, plane in enumerate(pixels, start=1):
        data.ImagePositionPatient, data.InstanceNumber = [0, 0, number], number
        data.SOPInstanceUID = generate_uid(entropy_srcs=[data.SeriesInstanceUID, str(number)])
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.PixelData = plane.tobytes()
        data.save_as(folder / f"1-{number:03d}.dcm", enforce_file_format=True)


def _add_others(data: Dataset) -> None:
    """Add elements that scanners write and ingestion does not read.

    Texts and numbers of patient, study and acquisition, private elements, and sequences of both kinds of length.
    """
    values = {
        "CS": "OTHER",
        "DS": "12.5",
        "IS": "3",
        "LO": "a word or two",
        "SH": "short",
        "US": 1,
        "FD": 0.5,
        "UI": "1.2.840.1",
        "DA": "20010101",
        "TM": "090000",
        "PN": "Doe^Jane",
        "FL": 0.5,
        "UL": 9,
    }
    data.SpecificCharacterSet, data.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "M", "ND"]
    names = [
        name
        for tag, name in sorted((tag, name) for name, tag in keyword_dict.items())
        if tag >> 16 in GROUPS and dictionary_VR(tag) in values and name not in data
    ]
    for name in names[:: len(names) // ELEMENTS][:ELEMENTS]:
        setattr(data, name, values[dictionary_VR(tag_for_keyword(name))])
    block = data.private_block(0x0029, "MAKER OF SCANNERS", create=True)
    for number in range(PRIVATE):
        block.add_new(number, *(("OB", bytes(2000)) if number % 20 == 0 else ("LO", "a private word")))
    for name, undefined in (
        ("ReferencedImageSequence", True),
        ("ReferencedStudySequence", False),
        ("ProcedureCodeSequence", True),
    ):
        setattr(data, name, [_reference(number) for number in range(3)])
        data[name].is_undefined_length = undefined


def _reference(number: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MRImageStorage, f"1.2.3.{number}"
    return item


def ours(root: Path, n4: bool = False, workers: int = 1) -> None:
    """Ingest one case per worker."""
    settings = load_params(ROOT / "params.yaml").ingest.model_copy(update={"n4_bias_correction": n4})
    entries = [CaseSource(case.name, "A", case) for case in _cases(root)[:workers]]
    with tempfile.TemporaryDirectory(dir=root.parent) as target:
        if workers == 1:
            results = [ingest_case(entries[0], Path(target), settings)]
        else:
            with ProcessPoolExecutor(workers, initializer=use_one_thread) as pool:
                results = list(pool.map(ingest_case, entries, [Path(target)] * workers, [settings] * workers))
    assert all(result.case for result in results), results


def plain(root: Path) -> None:
    import SimpleITK as sitk

    for folder in sorted(_cases(root)[0].glob("study/*")):
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        reader.Execute()


def other(root: Path) -> None:
    import dicom2nifti

    with tempfile.TemporaryDirectory(dir=root.parent) as target:
        for folder in sorted(_cases(root)[0].glob("study/*")):
            dicom2nifti.dicom_series_to_nifti(folder, Path(target) / f"{folder.name}.nii.gz", reorient_nifti=False)


N4 = "ours, with N4"  # takes a minute: one round, without a warm-up
CONTENDERS: dict[str, Callable[[Path], None]] = {
    "plain reading, SimpleITK": plain,
    "ours": ours,
    "ours, 2 workers and cases": lambda root: ours(root, workers=2),
    N4: lambda root: ours(root, n4=True),
    "dicom2nifti": other,
}


def grow(root: Path, count: int) -> dict[str, float]:
    """Time the stage, with its start, on a cohort of small cases, then again with one changed case."""
    write_cases(root / "data", count, *SMALL)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    found = {"cases": count, "seconds": _stage(root)}
    next((root / "data").rglob("1-001.dcm")).touch()
    return found | {"again": _stage(root), "gib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / GIB}


def _stage(root: Path) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, ROOT / "src/ingest.py"], cwd=root, check=True, capture_output=True)
    return time.perf_counter() - start


def _cases(root: Path) -> list[Path]:
    return sorted((root / "Duke-Breast-Cancer-MRI").iterdir())


def _rounds(root: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    names = [name for name in CONTENDERS if name != "dicom2nifti" or importlib.util.find_spec("dicom2nifti")]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            if name == N4 and number:
                continue
            done = subprocess.run(
                [sys.executable, __file__, "--contender", name, "--root", root],
                check=True,
                capture_output=True,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def _measure(name: str, root: Path) -> None:
    """Run a contender twice in this process, so that imports do not count, and print the time of the second run."""
    if name != N4:
        CONTENDERS[name](root)
    before, start = _cpu(), time.perf_counter()
    CONTENDERS[name](root)
    seconds = time.perf_counter() - start
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": seconds, "cpu": _cpu() - before, "gib": peak * 1024 / GIB}))


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _print_case(found: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> None:
    size = f"{options.slices} slices of {options.matrix} x {options.matrix}"
    print(f"4 phases of {size}, {options.rounds} rounds, medians\n")
    print("| | seconds | CPU seconds | peak of a process, GiB | times plain reading |\n|---|---|---|---|---|")
    seconds = {name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()}
    reading = seconds["plain reading, SimpleITK"]
    for name, runs in found.items():
        cpu, gib = (statistics.median(run[key] for run in runs) for key in ("cpu", "gib"))
        print(f"| {name} | {seconds[name]:.2f} | {cpu:.2f} | {gib:.2f} | {seconds[name] / reading:.2f} |")
    peak = max(run["gib"] for name, runs in found.items() if name.startswith("ours") for run in runs)
    print(
        f"\nours: {seconds['ours'] / reading:.2f} times plain reading (target at most {TIMES_READING}), "
        f"{peak:.2f} GiB per worker at most (target {GIB_A_WORKER})"
    )
    if "dicom2nifti" in seconds:
        times = seconds["dicom2nifti"] / seconds["ours"]
        print(f"dicom2nifti takes {times:.2f} times as long as ours (target at least {TIMES_DICOM2NIFTI})")


def _print_growth(found: Sequence[dict[str, float]]) -> None:
    print("| small cases | seconds | ms for each further case | again with one changed, seconds | peak, GiB |")
    print("|---|---|---|---|---|")
    for before, run in zip([None, *found], found, strict=False):
        more = "" if before is None else f"{1000 * _further(run, before):.1f}"
        print(f"| {run['cases']} | {run['seconds']:.2f} | {more} | {run['again']:.2f} | {run['gib']:.2f} |")


def _further(run: dict[str, float], before: dict[str, float]) -> float:
    """Seconds for each case that one run has more than another."""
    return (run["seconds"] - before["seconds"]) / (run["cases"] - before["cases"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=160)
    parser.add_argument("--matrix", type=int, default=512, help="pixels per side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=int, nargs="*", default=[10, 100, 1000], help="numbers of small cases")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        _measure(options.contender, options.root)
        sys.exit()
    return options


if __name__ == "__main__":
    run_stage(main)
