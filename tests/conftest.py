"""Tiny DICOM series and cohorts in the Duke layout, for the tests of every package."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from repository import ROOT
from scipy.ndimage import gaussian_filter

TESTS = Path(__file__).parent
ONE_THREAD = ("evaluation", "features", "mama_synth", "metrics", "same", "stats")  # folders of networks and arrays too
# small to share: waiting threads cost more than they gain
LONGEST = "tests/e2e/pipeline"  # its files begin early, so that none runs alone at the end
# While one worker makes the study that the files of LONGEST share, the others run long folders that do not need it.
FIRST = (f"{LONGEST}/test_repro.py", "tests/e2e/cluster", "tests/stages")
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
AXIAL = (1, 0, 0, 0, 1, 0)
SHAPE = (6, 16, 20)  # z, y, x
SPACING = (0.75, 0.75, 2.5)  # x, y, z
ORIGIN = (-10.0, -20.0, 30.0)
LESION = (2, 8, slice(9, 11))


if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores: one thread each, where a test does not say otherwise
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_make_scheduler(config, log):
    """Keeps the tests of a folder, which share what is costly to make, in one of several processes.

    The pipeline's tests take so long that they are kept by file; they share their study through a copy.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]  # tests/e2e/pipeline/test_repro.py
            return file if file.startswith(LONGEST) else file.rpartition("/")[0]

    return ByFolder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = [*FIRST, LONGEST]
    items.sort(key=lambda item: next((n for n, name in enumerate(order) if item.nodeid.startswith(name)), len(order)))


def uid(*parts) -> str:
    return generate_uid(entropy_srcs=[str(part) for part in parts])


def body_array(seed: int, shape: Sequence[int] = SHAPE) -> np.ndarray:
    """Integers 0 to 4095: a bright body behind dark air."""
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 20, shape)
    array[:, shape[1] // 3 :] += rng.integers(200, 900, (shape[0], shape[1] - shape[1] // 3, shape[2]))
    return array


def slice_dataset(pixels: np.ndarray, position: Sequence[float], tags: dict) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = MR_IMAGE_STORAGE
    data.Modality, data.Manufacturer, data.MagneticFieldStrength = "MR", "ACME", 1.5
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.ImagePositionPatient = [float(value) for value in position]
    data.PixelData = np.ascontiguousarray(pixels, "<u2").tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    return data


def save_series(
    folder: Path,
    array: np.ndarray,
    description: str = "ax dyn pre",
    number: int = 1,
    time: str = "090000",
    patient: str = "P1",
    orientation: Sequence[float] = AXIAL,
    spacing: Sequence[float] = SPACING,
    origin: Sequence[float] = ORIGIN,
    descending: bool = False,
    **tags,
) -> list[Path]:
    """Writes integers (z, y, x) as one file a slice; `descending` numbers the files against their position."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    series = uid(patient, description, number, folder.name)
    files = []
    for z, plane in enumerate(array):
        instance = len(array) - z if descending else z + 1
        common = {
            "PatientID": patient,
            "PatientName": patient,
            "StudyInstanceUID": uid(patient),
            "StudyID": "1",
            "SeriesInstanceUID": series,
            "FrameOfReferenceUID": uid(patient, "frame"),
            "SeriesDescription": description,
            "SeriesNumber": number,
            "AcquisitionTime": time,
            "ContentTime": time,
            "StudyDate": "20010101",
            "SeriesDate": "20010101",
            "AcquisitionDate": "20010101",
            "SeriesTime": time,
            "InstanceNumber": instance,
            "SOPInstanceUID": uid(series, instance),
            "PixelSpacing": [spacing[1], spacing[0]],
            "SliceThickness": spacing[2],
            "ImageOrientationPatient": [float(value) for value in orientation],
        }
        position = np.round(np.asarray(origin) + z * spacing[2] * normal, 6)
        files.append(folder / f"1-{instance:03d}.dcm")
        slice_dataset(plane, position, common | tags).save_as(files[-1], enforce_file_format=True)
    return files


def save_case(root: Path, case: str, seed: int = 0, phases: int = 3, patient: str | None = None) -> Path:
    """Writes one examination with its phases a minute apart and returns its study folder."""
    study = root / "Duke-Breast-Cancer-MRI" / case / "study"
    names = ["ax dyn pre", "ax dyn 1st pass", "ax dyn 2nd pass", "ax dyn 3rd pass"]
    for phase in range(phases):
        array = body_array(seed) + 100 * phase
        array[LESION] += 300 * phase  # where save_mask draws it
        save_series(
            study / f"{phase + 1}.000000-{names[phase]}",
            array,
            names[phase],
            phase + 1,
            f"09{phase:02d}00",
            patient or case,
            origin=ORIGIN,
        )
    return study


def save_mask(root: Path, case: str, array: np.ndarray | None = None, origin: Sequence[float] = ORIGIN) -> Path:
    """Writes a tumour mask of two voxels, or the given one, on the grid of save_case."""
    import SimpleITK as sitk

    if array is None:
        array = np.zeros(SHAPE, np.uint8)
        array[LESION] = 1
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin(origin)
    path = root / "segmentations" / f"{case}.nii"
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def save_table(root: Path, rows: Sequence[Sequence[str]]) -> None:
    """Writes cases.csv from (case, site, mask) rows."""
    lines = ["case,site,mask", *[",".join(row) for row in rows]]
    (root / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_cohort(root: Path, count: int = 3) -> list[str]:
    """Writes P1, P2, ... of site A, the first with a mask."""
    cases = [f"P{number + 1}" for number in range(count)]
    for seed, case in enumerate(cases):
        save_case(root, case, seed)
    save_mask(root, cases[0])
    save_table(root, [(case, "A", f"segmentations/{case}.nii" if case == cases[0] else "") for case in cases])
    return cases


class Dicom:
    """The writers above, handed to tests as one fixture."""

    shape, spacing, origin = SHAPE, SPACING, ORIGIN
    body_array = staticmethod(body_array)
    slice_dataset = staticmethod(slice_dataset)
    save_series = staticmethod(save_series)
    save_case = staticmethod(save_case)
    save_mask = staticmethod(save_mask)
    save_table = staticmethod(save_table)
    save_cohort = staticmethod(save_cohort)


@pytest.fixture(scope="session")
def dicom() -> type[Dicom]:
    return Dicom


@pytest.fixture(scope="session")
def ingest_settings() -> Callable:
    """The ingest parameters of params.yaml, with changes: ingest_settings(n4_bias_correction=True)."""
    from pre2post.ingest.params import IngestParams
    from pre2post.pipeline.params import load_params

    section = load_params(ROOT / "params.yaml").ingest
    return lambda **changes: IngestParams(**(section.model_dump() | changes))


@pytest.fixture(scope="session")
def sources_of() -> Callable:
    """The cases of the cohort in a folder."""
    from pre2post.ingest.layouts import read_cohort

    return lambda root: read_cohort(root)[1].sources


@pytest.fixture
def refused() -> Callable:
    """Runs a call that must raise InputError and returns the message, having checked that it holds every given text."""
    from pre2post.core.errors import InputError

    def check(call: Callable, *texts: str) -> str:
        with pytest.raises(InputError) as caught:
            call()
        message = str(caught.value)
        absent = [text for text in texts if text not in message]
        assert not absent, f"{absent} not in {message!r}"
        return message

    return check


@pytest.fixture
def one_thread():
    """For networks that are too small to share: waiting threads cost more than they bring."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def few_threads(request) -> None:
    """Run every test of the folders ONE_THREAD on one thread."""
    if request.path.relative_to(TESTS).parts[0] in ONE_THREAD:
        request.getfixturevalue("one_thread")


@pytest.fixture(scope="session")
def tumour_slices():
    """tumour_slices(n, share, seed) -> normalised slices (n, 64, 64): textured discs, a `share` with a bright tumour.

    The same seed gives the same anatomy whatever the share, so that only the tumours differ.
    """
    y, x = np.mgrid[:64, :64]

    def make(n: int, share: float, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        slices = np.empty((n, 64, 64), np.float32)
        for i in range(n):
            radius, cx, cy = rng.uniform(18, 28), *rng.uniform(28, 36, 2)
            breast = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
            texture = gaussian_filter(rng.normal(size=(64, 64)), 2)
            image = breast * (rng.uniform(0.2, 0.3) + 0.3 * texture) + rng.normal(0, 0.01, (64, 64))
            tx, ty = cx + rng.uniform(-9, 9), cy + rng.uniform(-9, 9)
            size, bright = rng.uniform(3, 6), rng.uniform(0.3, 0.5)
            tumour = np.exp(-((((x - tx) ** 2 + (y - ty) ** 2) / size**2) ** 2))
            slices[i] = image + (bright * tumour if i < share * n else 0)
        return slices

    return make
