"""Our student as a peer: the textCNN of the recommended recipe, scored by the nightly scorer."""

import json
import shutil
from pathlib import Path

from nights import teacher_version
from peers_data import Data, Numbers

from distill.models import bundle as bundles
from distill.models.registry import Registry
from distill.scoring.scorer import Scorer
from distill.training.config import Outputs, TrainingConfig, TrainingTask
from distill.training.ranks import SingleProcess
from distill.training.student import TeacherFeatureSpec, train_student

SCHEME = "offline"


def train(data: Data, seed: int, folder: Path, teacher: Path) -> None:
    """The defaults of `retrain` with one teacher; embeddings start from its features, which all seeds share."""
    home = folder.parent
    manifest = json.loads((teacher / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    version, registry = teacher_version(manifest), Registry(home / "registry")
    shutil.copytree(teacher / "bundle", registry.path(version), dirs_exist_ok=True)
    features = TeacherFeatureSpec(registry.root, version, str(home / "token_features"), embeddings=True)
    task = TrainingTask(TrainingConfig(seed=seed), 0.95, outputs=Outputs(str(folder / "checkpoints")))
    bundle = train_student(SingleProcess(), data.splits, task, SCHEME, features)
    assert bundle, "a single process has rank 0"
    bundles.save(folder / "model", bundle.tensors, bundle.files, bundle.manifest)


class Student:
    """Raw texts to margins, as a night has them."""

    def __init__(self, folder: Path):
        self.scorer = Scorer(bundles.load(folder / "model"))

    def __call__(self, texts: list[str]) -> Numbers:
        """Margins, (texts,)."""
        return self.scorer.score(texts).margins
