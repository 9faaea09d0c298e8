"""The packages that a model or a score may depend on, and their installed versions."""

import importlib.metadata
import importlib.util

from distill.errors import BadInput

PACKAGES = (
    "torch",
    "numpy",
    "numba",
    "pyspark",
    "pyarrow",
    "jieba",
    "safetensors",
    "transformers",
    "horovod",
    "openvino",
)
# The packages that a score, and a training, may depend on.
SCORING = ("jieba", "numba", "numpy", "pyarrow", "safetensors")
TRAINING = (*SCORING, "horovod", "openvino", "torch", "transformers")


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def need_transformers(what: str) -> None:
    """Raise BadInput where transformers is not installed."""
    if importlib.util.find_spec("transformers") is None:
        raise BadInput(f"{what} needs the package transformers; install it with make setup-train")
