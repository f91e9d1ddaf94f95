import weakref

import numpy as np
import pytest
from repository import ROOT

from pre2post.metrics.extractors import Extractor, make_extractors
from pre2post.metrics.feature_sets import standard_of
from pre2post.metrics.frechet import frechet_distance, moments
from pre2post.metrics.kid import kid
from pre2post.metrics.slice_metrics import slice_metrics
from pre2post.pipeline.params import load_params
from pre2post.same.checkpoint_scores import Slices, score_checkpoints
from pre2post.stats.bootstrap import resample_patients

DISTANCES = ("fd_random", "kid_random", "fd_texture", "kid_texture")
PATIENTS = ("b", "a", "b", "c", "c", "c", "a", "b", "c", "c")  # not sorted, and with different numbers of slices
ONCE = np.ones((1, 3), int)


def simple(images):
    """Return three features per slice: fast, and enough for tests that do not need networks."""
    images = np.asarray(images, float)
    return np.stack([images.mean(axis=(1, 2)), images.std(axis=(1, 2)), images[:, 10:40, 20].mean(axis=1)], axis=1)


SIMPLE = [Extractor("fd_simple", "kid_simple", simple, standardised=True)]


@pytest.fixture(scope="module")
def slices(tumour_slices):
    post = tumour_slices(10, 1, 0)
    lesion = np.zeros(post.shape, np.uint8)
    lesion[1, 20:24, 20:30] = lesion[3, 30:34, 30:34] = lesion[4, 30:32, 30:32] = 1
    return Slices(0.5 * post, post, lesion, PATIENTS)


@pytest.fixture(scope="module")
def extractors():
    return make_extractors(load_params(ROOT / "params.yaml").metrics, seed=3)


def with_noise(sd, seed=0):
    """Return a checkpoint, a function that loads a network. The network doubles pre and adds noise to each slice."""

    def infer(pre):
        rng = np.random.default_rng([seed, int(1e6 * abs(pre.sum()))])
        return (2 * pre + sd * rng.normal(size=pre.shape)).astype(np.float32)

    return lambda: infer


def smoothly(slope):
    """Return a checkpoint whose output for a slice does not depend on other slices."""
    return lambda: lambda pre: (slope * pre).astype(np.float32)


def checkpoints():
    return {"2": smoothly(2.2), "4": smoothly(1.9), "6": smoothly(1.2)}


def test_a_perfect_checkpoint_scores_perfectly_and_noise_worse(tumour_slices, extractors):
    post = tumour_slices(40, 1, 0)
    many = Slices(0.5 * post, post, np.zeros(post.shape, np.uint8), tuple(f"p{i // 8}" for i in range(40)))
    found = score_checkpoints(
        {name: with_noise(sd) for name, sd in (("perfect", 0), ("little", 0.01), ("much", 0.05))},
        many,
        extractors,
        np.ones((1, 5), int),
    ).table
    perfect = {"ssim": 1, "mse": 0, "mae": 0, "nmse": 0, "fd_random": 0, "fd_texture": 0}
    assert {name: found["perfect"][name] for name in perfect} == pytest.approx(perfect, abs=1e-6)
    assert found["perfect"]["psnr"] == np.inf
    for name in ("mse", "mae", "nmse", *DISTANCES):
        assert found["perfect"][name] < found["little"][name] < found["much"][name], name
    for name in ("ssim", "psnr"):
        assert found["perfect"][name] > found["little"][name] > found["much"][name], name


def test_distances_are_those_between_the_sets(slices, extractors):
    found = score_checkpoints({"4": smoothly(1.9)}, slices, extractors, ONCE).table["4"]
    for one in extractors:
        real, synthetic = one.extract(slices.post), one.extract(1.9 * slices.pre)
        standard = standard_of(moments(real))
        assert found[one.frechet] == pytest.approx(frechet_distance(standard(real), standard(synthetic)), rel=1e-4)
        assert found[one.kid] == pytest.approx(kid(standard(real), standard(synthetic)), rel=1e-4)


def test_features_of_networks_such_as_fids_are_not_scaled(slices):
    plain = Extractor("fid_img", "kid_img", simple, standardised=False)
    found = score_checkpoints(checkpoints(), slices, [plain], ONCE)
    for name, slope in (("2", 2.2), ("6", 1.2)):
        wanted = frechet_distance(simple(slices.post), simple((slope * slices.pre).astype(np.float32)))
        assert found.table[name]["fid_img"] == pytest.approx(wanted, rel=1e-9)
        assert found.resampled[name]["fid_img"] == pytest.approx([wanted], rel=1e-6)


def test_each_patient_counts_the_same(tumour_slices):
    post = tumour_slices(9, 1, 0)
    changed = post.copy()
    changed[0] += 0.3
    given = Slices(post, post, np.zeros(post.shape, np.uint8), ("a", *"bbbbbbbb"))
    found = score_checkpoints({"2": lambda: lambda pre: changed}, given, SIMPLE, np.ones((1, 2), int)).table["2"]
    assert found["mae"] == pytest.approx(0.15, rel=1e-5)
    assert found["mse"] == pytest.approx(0.045, rel=1e-5)
    assert found["ssim"] == pytest.approx((slice_metrics(post, changed, 1.0)["ssim"][0] + 1) / 2)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_blocks_and_threads_do_not_change_values(slices, threads, at_once, monkeypatch):
    counts = resample_patients(3, 6, 1) + 1
    wanted = score_checkpoints(checkpoints(), slices, SIMPLE, counts)
    monkeypatch.setattr("pre2post.same.checkpoint_scores.BLOCK_PIXELS", at_once * 64 * 64)
    found = score_checkpoints(checkpoints(), slices, SIMPLE, counts, threads=threads)
    assert list(found.table) == list(wanted.table) == ["2", "4", "6"]
    assert found.lesion_mae == pytest.approx(wanted.lesion_mae, rel=1e-9)
    for name in wanted.table:
        assert found.table[name] == pytest.approx(wanted.table[name], rel=1e-7)
        assert found.resampled[name].keys() == wanted.resampled[name].keys()
        for metric, values in wanted.resampled[name].items():
            np.testing.assert_allclose(found.resampled[name][metric], values, rtol=1e-6)


def test_networks_on_several_threads_give_the_same_values(slices, extractors):
    one, three = (
        score_checkpoints(checkpoints(), slices, extractors, ONCE, threads=threads).table for threads in (1, 3)
    )
    assert one == three


def test_features_of_real_slices_are_extracted_once(slices, monkeypatch):
    seen = []

    def extract(images):
        seen.append(np.array(images))
        return simple(images)

    monkeypatch.setattr("pre2post.same.checkpoint_scores.BLOCK_PIXELS", 4 * 64 * 64)
    score_checkpoints(checkpoints(), slices, [Extractor("fd", "kid", extract, True)], ONCE)
    of_real = [images for images in seen if any(np.array_equal(images, slices.post[i : i + 4]) for i in (0, 4, 8))]
    assert len(of_real) == 3
    assert len(seen) == 3 + 3 * len(checkpoints())
    assert sum(map(len, seen)) == 10 * 4


@pytest.mark.parametrize("threads", [1, 2])
def test_no_more_networks_are_in_memory_than_threads(slices, threads, monkeypatch):
    class Network:
        def __call__(self, pre):
            return 2 * pre

    alive, most = weakref.WeakSet(), []

    def load():
        network = Network()
        alive.add(network)
        most.append(len(alive))
        return network

    monkeypatch.setattr("pre2post.same.checkpoint_scores.BLOCK_PIXELS", 5 * 64 * 64)
    score_checkpoints(dict.fromkeys("abcdef", load), slices, SIMPLE, ONCE, threads=threads)
    assert len(most) == 2 * 6  # blocks and checkpoints
    assert max(most) <= threads


def test_lesion_error_by_hand(slices):
    """Pooled over the lesion pixels of all slices of a patient; patients without a lesion do not count."""
    found = score_checkpoints({"2": smoothly(2.2), "perfect": smoothly(2)}, slices, SIMPLE, ONCE)
    error = np.abs(2.2 * slices.pre - slices.post)
    patient_a = error[1][slices.lesion[1] > 0].mean()
    patient_c = np.concatenate([error[i][slices.lesion[i] > 0] for i in (3, 4)]).mean()
    assert found.lesion_mae["2"] == pytest.approx((patient_a + patient_c) / 2, rel=1e-5)
    assert found.lesion_mae["perfect"] == pytest.approx(0, abs=1e-6)
    assert "lesion_mae" not in found.table["2"]


def test_without_lesions_there_is_no_lesion_error(slices):
    given = Slices(slices.pre, slices.post, np.zeros_like(slices.lesion), PATIENTS)
    assert score_checkpoints(checkpoints(), given, SIMPLE, ONCE).lesion_mae == {"2": None, "4": None, "6": None}


def test_more_metrics_are_means_over_patients_too(slices):
    def brightest(real, synthetic):
        return np.abs(synthetic - real).max(axis=(1, 2))

    found = score_checkpoints({"2": smoothly(2.2)}, slices, SIMPLE, ONCE, more={"brightest": brightest}).table["2"]
    worst, patients = brightest(slices.post, 2.2 * slices.pre), np.array(PATIENTS)
    assert found["brightest"] == pytest.approx(np.mean([worst[patients == one].mean() for one in "abc"]), rel=1e-5)


def test_baselines_are_scored_like_checkpoints(slices, extractors):
    """They do not change the checkpoints, and are neither resampled nor selected."""
    baselines = {"pre": lambda pre: pre, "half": smoothly(0.5)()}
    found = score_checkpoints(checkpoints(), slices, extractors, ONCE, baselines=baselines)
    without = score_checkpoints(checkpoints(), slices, extractors, ONCE)
    as_checkpoints = score_checkpoints({"pre": smoothly(1), "half": smoothly(0.5)}, slices, extractors, ONCE)
    assert without.baselines == {}
    assert list(found.baselines) == ["pre", "half"]
    for name in baselines:
        assert found.baselines[name] == pytest.approx(as_checkpoints.table[name], rel=1e-9)
        assert found.lesion_mae[name] == pytest.approx(as_checkpoints.lesion_mae[name], rel=1e-9)
    assert found.table == without.table
    assert list(found.resampled) == list(checkpoints())


def test_every_patient_once_reproduces_the_table(tumour_slices, extractors):
    """Except distances of more than AXES features, which exclude the axes of least variance."""
    post = tumour_slices(40, 1, 0)
    many = Slices(0.5 * post, post, np.zeros(post.shape, np.uint8), tuple(f"p{i // 8}" for i in range(40)))
    found = score_checkpoints(checkpoints(), many, extractors, np.ones((1, 5), int))
    for name, values in found.resampled.items():
        assert set(values) == set(found.table[name]) - {"kid_random", "kid_texture"}
        for metric in set(values) - {"fd_random"}:
            assert values[metric] == pytest.approx([found.table[name][metric]], rel=1e-4), metric
        assert 0.9 * found.table[name]["fd_random"] < values["fd_random"][0] <= found.table[name]["fd_random"]


def test_counts_are_of_patients_in_sorted_order(slices):
    """Resamples of c only, and of a twice and b: the other patients have no effect."""
    counts = np.array([[0, 0, 3], [2, 1, 0]])
    found = score_checkpoints(checkpoints(), slices, SIMPLE, counts).resampled["2"]
    errors = np.abs(2.2 * slices.pre - slices.post).mean(axis=(1, 2))
    mean = {patient: errors[np.array(PATIENTS) == patient].mean() for patient in "abc"}
    assert found["mae"] == pytest.approx([mean["c"], (2 * mean["a"] + mean["b"]) / 3], rel=1e-5)
    standard = standard_of(moments(simple(slices.post)))  # that of all patients
    order = np.array([i for patient in "aab" for i in range(10) if PATIENTS[i] == patient])
    real, synthetic = (standard(simple(images[order].astype(np.float32))) for images in (slices.post, 2.2 * slices.pre))
    assert found["fd_simple"][1] == pytest.approx(frechet_distance(real, synthetic), rel=1e-4)


def test_slices_may_be_memory_mapped(slices, tmp_path):
    arrays = []
    for name in ("pre", "post", "lesion"):
        np.save(tmp_path / f"{name}.npy", getattr(slices, name))
        arrays.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    assert (
        score_checkpoints(checkpoints(), Slices(*arrays, PATIENTS), SIMPLE, ONCE).table
        == score_checkpoints(checkpoints(), slices, SIMPLE, ONCE).table
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_checkpoint_is_named(slices, bad, refused):
    many = checkpoints() | {"8": lambda: lambda pre: np.where(pre > 0.1, bad, pre)}
    refused(lambda: score_checkpoints(many, slices, SIMPLE, ONCE, threads=2), "checkpoint 8: ", "not finite")


def test_a_checkpoint_that_changes_the_shape_is_named(slices, refused):
    for name, infer in (("fewer", lambda pre: pre[:5]), ("smaller", lambda pre: pre[:, :32])):
        refused(
            lambda name=name, infer=infer: score_checkpoints({name: lambda: infer}, slices, SIMPLE, ONCE),
            f"checkpoint {name}: ",
            "different shapes",
        )


def test_an_error_while_loading_names_the_checkpoint_too(slices, refused):
    from pre2post.core.errors import InputError

    def load():
        raise InputError("the weights file is missing", file="epoch_0008.safetensors")

    refused(
        lambda: score_checkpoints({"8": load}, slices, SIMPLE, ONCE),
        "checkpoint 8: the weights file is missing",
        "file epoch_0008.safetensors",
    )


def test_slices_that_do_not_belong_together_are_refused(refused):
    array = np.zeros((4, 20, 20))
    for arrays, patients in (
        ((array, array, array[:3]), "aabb"),
        ((array, array[:, :10], array), "aabb"),
        ((array, array, array), "aab"),
        ((array[:0], array[:0], array[:0]), ""),
    ):
        refused(
            lambda arrays=arrays, patients=patients: Slices(*arrays, tuple(patients)),
            "do not belong together",
            "run `dvc repro extract_slices`",
        )


def test_several_phases_count_as_separate_slices(slices):
    """Phases of a slice equal consecutive slices of the same patient."""
    joint = Slices(slices.pre, np.stack([slices.post, 0.8 * slices.post], 1), slices.lesion, PATIENTS)
    twice = np.repeat(np.arange(len(PATIENTS)), 2)
    apart = Slices(
        slices.pre[twice],
        np.stack([slices.post, 0.8 * slices.post], 1).reshape(-1, *slices.post.shape[1:]),
        slices.lesion[twice],
        tuple(np.array(PATIENTS)[twice]),
    )

    def both(pre):
        return np.stack([1.9 * pre, 1.5 * pre], 1).astype(np.float32)

    def one_by_one(pre):
        return (pre * np.tile([1.9, 1.5], len(pre) // 2)[:, None, None]).astype(np.float32)

    found, expected = (
        score_checkpoints({"2": lambda run=run: run}, given, SIMPLE, ONCE, baselines={"same": run})
        for given, run in ((joint, both), (apart, one_by_one))
    )
    assert found.table["2"] == pytest.approx(expected.table["2"], rel=1e-6)
    assert found.baselines["same"] == pytest.approx(found.table["2"], rel=1e-6)
    assert found.lesion_mae["2"] == pytest.approx(expected.lesion_mae["2"], rel=1e-6)
