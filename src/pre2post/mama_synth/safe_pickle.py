"""Load trained classifiers from shared pickles without running code that these may hold.

A pickle names classes and functions, and pickle.load calls them. Here only the exact names below are allowed: arrays,
and estimators that hold only numbers. A file that needs another name is refused, and the name is reported.
"""

import io
import pickle
from typing import Any

from pre2post.core.errors import InputError
from pre2post.mama_synth.classifiers import Classifier

ALLOWED = {
    "_codecs": ("encode",),  # of array bytes, which were strings before pickle's protocol 3
    "builtins": ("bytearray", "bytes"),
    "collections": ("OrderedDict",),
    "numpy": ("dtype", "ndarray"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.random._mt19937": ("MT19937",),
    "numpy.random._pcg64": ("PCG64",),
    "numpy.random._pickle": ("__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"),
    "numpy.random.bit_generator": ("SeedSequence", "__pyx_unpickle_SeedSequence"),
    "sklearn._loss._loss": ("CyHalfBinomialLoss",),
    "sklearn._loss.link": ("Interval", "LogitLink"),
    "sklearn._loss.loss": ("HalfBinomialLoss",),
    "sklearn.calibration": ("CalibratedClassifierCV", "_CalibratedClassifier", "_SigmoidCalibration"),
    "sklearn.decomposition._pca": ("PCA",),
    "sklearn.discriminant_analysis": ("LinearDiscriminantAnalysis",),
    "sklearn.dummy": ("DummyClassifier",),
    "sklearn.ensemble._bagging": ("BaggingClassifier",),
    "sklearn.ensemble._forest": ("ExtraTreesClassifier", "RandomForestClassifier"),
    "sklearn.ensemble._gb": ("GradientBoostingClassifier",),
    "sklearn.ensemble._hist_gradient_boosting.binning": ("_BinMapper",),
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": ("HistGradientBoostingClassifier",),
    "sklearn.ensemble._hist_gradient_boosting.predictor": ("TreePredictor",),
    "sklearn.ensemble._voting": ("VotingClassifier",),
    "sklearn.ensemble._weight_boosting": ("AdaBoostClassifier",),
    "sklearn.feature_selection._variance_threshold": ("VarianceThreshold",),
    "sklearn.impute._base": ("SimpleImputer",),
    "sklearn.linear_model._logistic": ("LogisticRegression",),
    "sklearn.linear_model._stochastic_gradient": ("SGDClassifier",),
    "sklearn.naive_bayes": ("GaussianNB",),
    "sklearn.pipeline": ("Pipeline",),
    "sklearn.preprocessing._data": (
        "MaxAbsScaler",
        "MinMaxScaler",
        "PowerTransformer",
        "RobustScaler",
        "StandardScaler",
    ),
    "sklearn.preprocessing._label": ("LabelEncoder",),
    "sklearn.svm._classes": ("SVC",),
    "sklearn.tree._classes": ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier"),
    "sklearn.tree._tree": ("Tree",),
    "sklearn.utils._bunch": ("Bunch",),
    "xgboost.core": ("Booster",),
    "xgboost.sklearn": ("XGBClassifier",),
}
RENAMED = {
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",  # NumPy 1
    "__builtin__": "builtins",
}  # before pickle's protocol 3


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = RENAMED.get(module, module)
        if name not in ALLOWED.get(module, ()):
            raise InputError(
                "this pickle needs a name that is not allowed in a shared file",
                found=f"{module}.{name}",
                expected="a scikit-learn or xgboost classifier and its numbers",
                hint="train a classifier listed in src/pre2post/mama_synth/safe_pickle.py and pickle it alone",
            )
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError) as error:
            raise InputError(
                "this pickle needs a package that is not installed, or another release of it",
                found=error,
                expected=module.partition(".")[0],
            ) from None


def load_classifier(content: bytes) -> Classifier:
    """Return the classifier in the bytes of a pickle.

    Raises InputError for other objects, damaged bytes, or a name that is not in ALLOWED.
    """
    try:
        classifier = _Unpickler(io.BytesIO(content)).load()
    except InputError:
        raise
    except Exception as error:  # a damaged or malicious pickle can raise anything
        raise InputError(
            "this pickle cannot be read",
            found=f"{type(error).__name__}: {error}",
            expected="a classifier pickled by a compatible release of its package",
        ) from None
    if not hasattr(classifier, "predict_proba"):
        raise InputError(
            "this pickle holds no classifier", found=type(classifier).__name__, expected="an object with predict_proba"
        )
    return classifier
