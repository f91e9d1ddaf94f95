"""Pair the results of each patient on real and synthetic volumes, and measure the lesion in both."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import error_context
from pre2post.core.files import rounded
from pre2post.core.paths import SYNTHETIC
from pre2post.evaluation.cells import by_case, cells_of
from pre2post.evaluation.detection_table import IMAGE_PROPERTIES, IMAGES
from pre2post.image.body_mask import body_mask
from pre2post.image.masks import millilitres
from pre2post.io.volume_file import read_volume
from pre2post.metrics.lesion_properties import enhancement_error, image_properties, lesion_shell
from pre2post.segmentation.design import split_and_phase
from pre2post.segmentation.volumes import check_image, volume_file

COLUMNS = {"detected": "detected", "chance": "detected_by_chance", "dice": "dice"}  # of the pairs, of the table


def pair_domains(table: Sequence[Mapping[str, str]], phases: Mapping[str, str]) -> tuple[list[dict], str]:
    """Pair the rows of plots/segmentation.csv; `phases` is {image: phase} of both images.

    Return one row per mix and patient tested in both phases, {"mix", "split", "case", "detected_<image>",
    "chance_<image>", "dice_<image>"}, each 0 to 1, and a note if there is none. Trainings of one mix are averaged.
    """
    found: dict[str, dict] = {image: {} for image in IMAGES}
    for (mix, domain), rows in cells_of(table).items():
        split, phase = split_and_phase(domain)
        values = {column: by_case(rows, name) for column, name in COLUMNS.items()}
        for image in (image for image in IMAGES if phases[image] == phase):
            for case in values["dice"]:
                found[image][mix, split, case] = {
                    f"{column}_{image}": fmean(values[column][case]) for column in COLUMNS
                }
    synthetic, real = found.values()
    pairs = [
        dict(zip(("mix", "split", "case"), key, strict=True)) | synthetic[key] | real[key]
        for key in synthetic
        if key in real
    ]
    note = (
        "detection is not compared, since no patient was tested on both real and synthetic volumes: add "
        f"{' and '.join(phases.values())} to segmentation.test_phases"
    )
    return pairs, "" if pairs else note


def measure_lesion(case: Case, phases: Mapping[str, str]) -> dict[str, float | None]:
    """Return the properties of a patient's lesion, with one key per image for those of an image.

    The result is empty, with a printed message, if the mask holds no tumour.
    """
    mask = read_mask(case, needs_tumour=False)
    lesion = mask.array > 0
    if not lesion.any():
        print(f"case {case.id} is left out: its mask holds no tumour")
        return {}
    pre = read_volume(case.path("pre"))
    shell = lesion_shell(lesion, body_mask(pre.array, pre.spacing), mask.spacing)
    images, properties = {}, {}
    for image, phase in phases.items():
        file = volume_file(case, phase, SYNTHETIC)
        volume = read_volume(file)
        check_image(volume, mask, case.id, file)
        images[image] = case.scale.normalise(volume.array)
        with error_context(case=case.id, file=file):
            properties[image] = image_properties(images[image], lesion, shell)
    return {
        "size_ml": rounded(millilitres(lesion, mask.spacing)),
        **{f"{name}_{image}": rounded(properties[image][name]) for name in IMAGE_PROPERTIES for image in IMAGES},
        "enhancement_error": rounded(enhancement_error(images["real"], images["synthetic"], lesion)),
    }
