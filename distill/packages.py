"""The packages that a model or a score may depend on, and which version of them is here."""

import importlib.metadata

PACKAGES = ("torch", "numpy", "numba", "pyspark", "pyarrow", "jieba", "safetensors", "transformers", "horovod")


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
