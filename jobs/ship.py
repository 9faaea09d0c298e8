"""Pack the Python environment of executors, with pinned packages, into one file.

A cluster's workers then need only Spark and a Python of the same minor version. The settings in spark_conf/ take the
file from dist/, and each job sends its own code (jobs/warehouse/shipping.py).
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from distill import CHECKOUT
from distill.errors import Infrastructure
from distill.models.packages import SCORING, TRAINING
from jobs.common.cli import HelpFormatter, Parser
from jobs.common.failures import run_main

AROUND_TRAINING = ("packaging", "psutil", "tensorboard", "tqdm")  # used in addition to the packages of a training


def main() -> None:
    """Write DIR/environment.tar.gz."""
    parser = Parser(description=__doc__, epilog="example:\n  .venv/bin/opinion ship", formatter_class=HelpFormatter)
    parser.add_argument("--to", type=Path, default=CHECKOUT / "dist", metavar="DIR", help="folder of the file")
    parser.add_argument(
        "--train", action="store_true", help="with torch, transformers and Horovod, for jobs that train on executors"
    )
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    target = args.to / "environment.tar.gz"
    pack_environment(target, (*TRAINING, *AROUND_TRAINING) if args.train else SCORING)
    print(f"{target}, {target.stat().st_size / 1e6:.0f} MB")


def pack_environment(target: Path, requirements: tuple[str, ...]) -> None:
    """Build an environment with the pinned requirements, as an archive that runs wherever it is unpacked.

    Raises Infrastructure with pip's last line when a package cannot be installed.
    """
    import venv_pack

    with tempfile.TemporaryDirectory(prefix="environment-") as folder:
        venv.create(folder, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", folder, "install", "-q"]
        done = subprocess.run(
            [*pip, "-c", str(CHECKOUT / "constraints.txt"), *requirements], capture_output=True, text=True
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            raise Infrastructure(f"pip cannot install {', '.join(requirements)}: {last}")
        venv_pack.pack(folder, str(target), force=True, compress_level=1)
    target.chmod(0o644)  # a temporary file is readable by its owner alone


if __name__ == "__main__":
    run_main(main)
