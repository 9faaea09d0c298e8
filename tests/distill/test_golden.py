"""The loss curve of every scheme on small fixed models and rows, against the recorded one: nobody changes it unaware.

After a change that is meant, record anew with `.venv/bin/python tests/distill/test_golden.py`, and say why.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.data.dataset import Examples
from distill.models.architecture import Architecture, Dropout
from distill.models.bert import from_pretrained
from distill.models.textcnn import Encodings, TextCNN
from distill.text.vocabulary import Limit, Vocabulary
from distill.training.config import TEACHER, TrainingConfig
from distill.training.joint_schemes import JOINT
from distill.training.learner import Learner
from distill.training.loop import fit
from distill.training.ranks import SingleProcess
from distill.training.schemes import STORED
from tests.curves import PAIRS
from tests.distill import tiny_encoder

RECORDED = Path(__file__).with_name("golden.json")
WIDTHS = {"word": (1, 2), "bigram": (1,)}
CONFIG = TrainingConfig(
    epochs=3,
    batch=16,
    patience=9,
    seed=5,
    learning_rate=2e-2,
    dropout=Dropout(0, 0, 0, part=False),
    temperature=2.0,
    beta_hard=0.5,
)
CONFIGS = {
    "textcnn": CONFIG,
    "offline": CONFIG,
    "multi-teacher": replace(CONFIG, alpha_soft=(0.7, 0.3)),
    "offline, wide part": CONFIG,
    "offline, averaging part": replace(CONFIG, dropout=Dropout(0, 0, 0, part=True)),
    "offline, route": replace(CONFIG, schedule=((1,), (1,), (0,))),
    **dict.fromkeys(JOINT, replace(CONFIG, teacher_soft_loss="cross-entropy")),
    "joint-isolated, two passes and a cool-down": replace(CONFIG, student_passes=2, cool_down=1),
    **{f"{name}, kl": replace(CONFIG, teacher_soft_weight=0.3) for name in ("joint-coupled", "joint-sum")},
}
PRECISION = "float32"


def curve(name: str, folder: Path) -> list[float]:
    """Losses of the epochs, then the AUC of the last."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    noise = [chr(c) for c in range(0x5000, 0x5040)]
    phrases = [("客服骗人" if label else "物流很快")[: 2 + i % 3] for i, label in enumerate(labels)]
    texts = ["".join(rng.choice(noise, rng.integers(1, 9))) + phrase for phrase in phrases]
    margins = 4 * labels[:, None] - 2 + rng.normal(size=(120, 2))  # of two teachers
    logits = torch.from_numpy(np.stack([-margins / 2, margins / 2], axis=2).astype(np.float32))
    channels = (WIDTHS, ["trigram"] if "wide part" in name else [])
    vocabulary = Vocabulary.build(texts, {channel: Limit(1, 1000) for channel in (*channels[0], *channels[1])})
    torch.manual_seed(0)
    ids, wide = ({channel: vocabulary.size(channel) for channel in names} for names in channels)
    architecture = Architecture(ids, WIDTHS, 6, 4, wide, 5 if "averaging part" in name else 0)
    config, scheme = CONFIGS[name], name.split(",")[0]
    student = Learner("student", TextCNN(architecture, config.dropout), config, SingleProcess())
    model, tokenizer = from_pretrained(tiny_encoder.tiny_encoder(folder), 32, PRECISION)
    views = {"student": Encodings(vocabulary.encode_batch(texts), architecture), "teacher": tokenizer.encode(texts)}
    every = Examples(torch.from_numpy(labels), views, logits, views["teacher"].lengths)
    if scheme in STORED:
        learners = [student]
        made = STORED[scheme](student, config)
    else:
        teacher = Learner("teacher", model, replace(TEACHER, learning_rate=5e-3, precision=PRECISION), SingleProcess())
        learners, made = [student, teacher], JOINT[scheme](teacher, student, config)
    points = fit(made, learners, every, every, config, SingleProcess())
    return [point.loss for point in points] + [points[-1].valid]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_curve_is_the_recorded_one(name: str, tmp_path: Path) -> None:
    *losses, auc = curve(name, tmp_path / "encoder")
    *recorded, recorded_auc = json.loads(RECORDED.read_text())[name]
    np.testing.assert_allclose(losses, recorded, rtol=2e-4)
    assert auc == pytest.approx(recorded_auc, abs=PAIRS)


def test_every_scheme_has_one_and_no_two_are_alike() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert {name.split(",")[0] for name in recorded} == STORED.keys() | JOINT.keys()
    assert len({round(losses[2], 3) for losses in recorded.values()}) == len(recorded)
    for name, losses in recorded.items():
        assert losses[2] < losses[0], f"{name} learned nothing, so its curve says nothing"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        curves = {name: curve(name, Path(scratch, str(i))) for i, name in enumerate(CONFIGS)}
    RECORDED.write_text(json.dumps(curves, indent=1) + "\n")
