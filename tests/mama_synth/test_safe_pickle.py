"""Classifiers are loaded unchanged from pickles; pickles that could run code are refused before it runs."""

import importlib
import os
import pickle
import subprocess
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from pre2post.mama_synth.safe_pickle import ALLOWED, load_classifier

CLASSIFIERS = [
    RandomForestClassifier(4, random_state=np.random.RandomState(1)),
    ExtraTreesClassifier(3, random_state=1),
    GradientBoostingClassifier(n_estimators=3),
    HistGradientBoostingClassifier(max_iter=3, random_state=1),
    AdaBoostClassifier(n_estimators=2),
    VotingClassifier([("one", LogisticRegression())], voting="soft"),
    CalibratedClassifierCV(LogisticRegression(), cv=2),
    GaussianNB(),
    make_pipeline(SimpleImputer(), StandardScaler(), PCA(3), LogisticRegression()),
]


def features_and_labels():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 8)), np.arange(30) % 2


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda classifier: type(classifier).__name__)
def test_classifiers_are_loaded_unchanged(classifier, protocol):
    features, labels = features_and_labels()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(features, labels)
    content = pickle.dumps(classifier, protocol)
    found = load_classifier(content)
    np.testing.assert_array_equal(found.predict_proba(features), classifier.predict_proba(features))


def test_names_of_numpy_1_are_accepted():
    features, labels = features_and_labels()
    classifier = GaussianNB().fit(features, labels)
    content = pickle.dumps(classifier, 2)
    older = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert older != content
    np.testing.assert_array_equal(load_classifier(older).predict_proba(features), classifier.predict_proba(features))


class Malicious:
    """Call `function(*arguments)` when it is unpickled without protection."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "function, arguments, name",
    [
        (os.system, ("touch ran",), "system"),
        (eval, ("open('ran', 'w')",), "builtins.eval"),
        (subprocess.Popen, (["touch", "ran"],), "Popen"),
        (getattr, (dict, "fromkeys"), "builtins.getattr"),
        (importlib.import_module, ("antigravity",), "import_module"),
        (np.load, ("x.npy",), "numpy"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_refused_and_does_not_run(tmp_path, monkeypatch, refused, function, arguments, name, protocol):
    monkeypatch.chdir(tmp_path)
    refused(lambda: load_classifier(pickle.dumps(Malicious(function, *arguments), protocol)), "not allowed", name)
    hidden = make_pipeline(StandardScaler(), LogisticRegression())
    hidden.steps[0][1].mean_ = Malicious(function, *arguments)
    refused(lambda: load_classifier(pickle.dumps(hidden)), "not allowed", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["Tree.__class__", "Tree.__init__.__globals__", "__name__"])
def test_only_exact_names_are_looked_up(refused, name):
    """A dotted name would reach any object from an allowed class."""
    content = b"\x80\x04\x8c\x12sklearn.tree._tree\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    refused(lambda: load_classifier(content), "not allowed", name)


def test_functions_inside_an_estimator_are_refused(refused):
    refused(
        lambda: load_classifier(pickle.dumps(make_pipeline(FunctionTransformer(np.log1p), GaussianNB()))),
        "not allowed",
        "FunctionTransformer",
    )


def test_every_name_exists_here():
    """A class that is renamed in a new release is noticed here, if its package is installed."""
    for module, names in ALLOWED.items():
        if importlib.util.find_spec(module.partition(".")[0]):
            for name in names:
                assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.skipif(importlib.util.find_spec("xgboost") is not None, reason="xgboost is installed")
def test_a_missing_package_is_named(refused):
    refused(lambda: load_classifier(b"cxgboost.sklearn\nXGBClassifier\n."), "not installed", "xgboost")


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(GaussianNB())[:-20], b"\x80\x04K\x01."])
def test_other_content_is_refused(refused, content):
    refused(lambda: load_classifier(content), "this pickle")
