"""Stage 1 of a hint: whose gradients, from which layer, and a student that goes on from what it learned."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.data.dataset import Examples
from distill.data.labelled import Splits, TextRows
from distill.models.architecture import Dropout
from distill.models.bert import Bert, Tokenizer, from_pretrained, to_bundle
from distill.models.registry import Registry
from distill.models.versions import new_version
from distill.training.config import Outputs, TrainingConfig, TrainingTask
from distill.training.hint import VIEW, Hint, HintRegressor, judge
from distill.training.learner import Learner
from distill.training.loop import fit
from distill.training.ranks import SingleProcess
from distill.training.student import Student, TeacherFeatureSpec, train_student
from distill.training.teacher_features import layer_of
from tests.distill import tiny_encoder

CONFIG = TrainingConfig(epochs=4, batch=16, patience=9, dropout=Dropout(0, 0, 0, part=False), ema=0.5)
WIDTH = 16


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bert, Tokenizer]:
    model, tokenizer = from_pretrained(
        tiny_encoder.tiny_encoder(tmp_path_factory.mktemp("e") / "encoder"), 32, "float32"
    )
    return model.eval(), tokenizer


def labelled(rows: int, seed: int) -> TextRows:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    noise = [chr(c) for c in range(0x5000, 0x5040)]
    texts = ["".join(rng.choice(noise, rng.integers(1, 9))) + ("客服骗人" if y else "物流很快") for y in labels]
    return TextRows(texts, labels.astype(np.int64), np.array(["review"] * rows), np.empty((rows, 0, 2), np.float32))


def examples(rows: TextRows, student: Student, teacher: tuple[Bert, Tokenizer], layer: int) -> Examples:
    views = {"student": student.view(rows.texts), VIEW: layer_of(*teacher, rows.texts, layer, SingleProcess(), None)}
    return Examples(torch.from_numpy(rows.labels), views, torch.from_numpy(rows.logits))


def test_the_step_is_that_of_half_the_squared_distance(teacher) -> None:  # type: ignore[no-untyped-def]
    rows = labelled(8, 0)
    student = Student(rows.texts * 3, CONFIG)
    seen = examples(rows, student, teacher, 1)
    regressed = Learner("student", HintRegressor(student.model, WIDTH), CONFIG, SingleProcess())
    batch = seen.batch(torch.arange(8), torch.device("cpu"))
    r, u = regressed.logits(batch).detach(), batch.inputs[VIEW]
    before = {name: tensor.clone() for name, tensor in student.model.state_dict().items()}
    loss = Hint(regressed).step([batch], 8)
    assert float(loss) == pytest.approx(float(((r - u) ** 2).sum(1).mean() / 2), rel=1e-5)
    bias = regressed.model.regressor.bias.grad  # type: ignore[union-attr]
    torch.testing.assert_close(bias, (r - u).mean(0))  # of 1/2 ||r - u||^2 by r's bias
    moved = {name for name, tensor in student.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if not name.startswith(("output.", "wide.", "average."))}


def test_a_student_comes_nearer_to_texts_it_has_not_seen(teacher) -> None:  # type: ignore[no-untyped-def]
    train, valid = labelled(200, 1), labelled(60, 2)
    student = Student(train.texts, CONFIG)
    seen, unseen = (examples(rows, student, teacher, -1) for rows in (train, valid))
    regressed = Learner("student", HintRegressor(student.model, WIDTH), CONFIG, SingleProcess())
    before = judge(regressed, unseen, SingleProcess())
    curve = fit(Hint(regressed), [regressed], seen, unseen, CONFIG, SingleProcess(), judge=judge)
    assert curve[-1].valid > 0.5 * before and before < 0


def test_stage_two_goes_on_from_stage_one(teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Its embeddings are further from where they began than without the hint."""
    bundle = to_bundle(*teacher, {})
    registry = Registry(tmp_path / "registry")
    version = new_version("bert", datetime.now(UTC))
    registry.add(version, bundle.tensors, bundle.files, bundle.manifest)
    train, valid = labelled(120, 3), labelled(60, 4)
    still = replace(CONFIG, learning_rate=0.0, epochs=1)
    splits = Splits(train, valid, None)

    def trained(config: TrainingConfig, features: TeacherFeatureSpec | None = None, folder: str | None = None) -> Any:
        task = TrainingTask(config, 0.3, outputs=Outputs(checkpoints=folder))
        return train_student(SingleProcess(), splits, task, "textcnn", features)

    fresh = trained(still)
    stage = TeacherFeatureSpec(
        str(tmp_path / "registry"), version, str(tmp_path / "cache"), hint_layer=1, hint_epochs=2
    )
    moving = replace(CONFIG, epochs=1)
    hinted = trained(moving, stage, str(tmp_path / "checkpoints"))
    again = trained(moving, stage, str(tmp_path / "other"))
    plain = trained(moving)
    name = "embeddings.word.weight"
    assert fresh and hinted and again and plain
    assert np.array_equal(hinted.tensors[name], again.tensors[name]), "one seed, one student"
    from_hint = np.abs(hinted.tensors[name] - fresh.tensors[name]).max()
    assert from_hint > 1.2 * np.abs(plain.tensors[name] - fresh.tensors[name]).max(), "it has moved by both stages"
