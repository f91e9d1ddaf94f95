"""Predict post-contrast breast MRI from pre-contrast MRI.

    from pre2post import load_generator, predict

    generator = load_generator("generator.safetensors")
    synthetic = predict("pre.nii.gz", generator)

The names below are imported when they are first used, so that `import pre2post` is fast. Every pipeline stage depends
on this file: an `import` of another module of the package here would re-run all stages after any change of it.
"""

from importlib import import_module

_MODULES = {
    "InputError": "pre2post.core.errors",
    "Volume": "pre2post.image.volume",
    "load_generator": "pre2post.synthesis.generator",
    "predict": "pre2post.synthesis.predict",
}
__all__ = ["InputError", "Volume", "__version__", "load_generator", "predict"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """Return the installed version; "unknown" if the package runs from its folder without installation."""
    metadata = import_module("importlib.metadata")
    try:
        return metadata.version(__name__)
    except metadata.PackageNotFoundError:
        return "unknown"
