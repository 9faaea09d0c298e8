"""First embeddings from features of a teacher: the principal components of what it makes of each token."""

import pytest
import torch
from torch import Tensor

from distill.models.architecture import Dropout
from distill.models.bert import Bert, TokenIds, Tokenizer, from_pretrained
from distill.models.textcnn import EMBEDDING_STD
from distill.text.vocabulary import SPECIAL
from distill.training import token_features as token_features_module
from distill.training.config import TrainingConfig
from distill.training.embeddings import principal_components, start_embeddings
from distill.training.ranks import ProcessGroup, SingleProcess
from distill.training.student import EMBEDDING, Student
from distill.training.teacher_features import read_layer
from distill.training.token_features import token_features
from tests.distill import tiny_encoder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bert, Tokenizer]:
    model, tokenizer = from_pretrained(
        tiny_encoder.tiny_encoder(tmp_path_factory.mktemp("e") / "encoder"), 32, "float32"
    )
    return model.eval(), tokenizer


def test_components_are_those_of_most_variance_and_keep_distances() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(500, 8) * torch.tensor([9.0, 7.0, 0.1, 0.1, 5.0, 0.1, 0.1, 0.1]) + 100
    components = principal_components(hidden, 3)
    assert components.shape == (500, 3)
    torch.testing.assert_close(components.std(), torch.tensor(EMBEDDING_STD), rtol=1e-3, atol=0)
    kept = hidden[:, [0, 1, 4]]
    torch.testing.assert_close(
        torch.pdist(components) / torch.pdist(components).mean(),
        torch.pdist(kept) / torch.pdist(kept).mean(),
        rtol=0.02,
        atol=0.02,
    )
    assert torch.equal(principal_components(hidden, 99), principal_components(hidden, 8)), "no more than there are"


def test_tokens_that_the_teacher_finds_alike_begin_alike_in_every_channel(teacher) -> None:  # type: ignore[no-untyped-def]
    model, tokenizer = teacher
    texts = ["客服骗人物流很快孩子喜欢", "物流骗人客服很快"] * 3
    student = Student(texts, TrainingConfig(dropout=Dropout(0, 0, 0, part=False)))
    edges = {
        name: p[:SPECIAL].clone() for name, p in student.model.named_parameters() if name.startswith("embeddings.")
    }
    start_embeddings(student.model, student.vocabulary, model, tokenizer, SingleProcess(), None)
    width = min(EMBEDDING, model.encoder.config.hidden_size)
    rows, hidden = [], []
    middle = model.encoder.config.num_hidden_layers // 2
    for channel in student.architecture.widths:
        tokens = student.vocabulary.channels[channel]
        weight = student.model.get_parameter(f"embeddings.{channel}.weight").detach()
        assert torch.equal(weight[:SPECIAL], edges[f"embeddings.{channel}.weight"]), "the special ids stay"
        for number, token in enumerate(tokens):
            rows.append(weight[SPECIAL + number, :width])
            hidden.append(model.features(tokenizer.encode([token]).take(torch.tensor([0])), middle)[0].detach())
    ours, theirs = torch.pdist(torch.stack(rows)), torch.pdist(torch.stack(hidden))
    assert len(rows) > 8
    # No direction is lost here, so that all distances are the teacher's but for one factor.
    torch.testing.assert_close(ours / ours.mean(), theirs / theirs.mean(), rtol=1e-3, atol=1e-3)


def test_a_token_is_read_once_and_a_second_training_reads_only_what_is_new(teacher, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    model, tokenizer = teacher
    cache, other = tmp_path / "mine.safetensors", tmp_path / "of another teacher.safetensors"
    other.write_bytes(b"")
    first = token_features(model, tokenizer, ["客服", "物流", "骗人"], SingleProcess(), cache)
    assert not other.exists()
    read = []

    def counted(model: Bert, view: TokenIds, layer: int, ranks: ProcessGroup) -> Tensor:
        read.append(len(view.lengths))
        return read_layer(model, view, layer, ranks)

    monkeypatch.setattr(token_features_module, "read_layer", counted)
    second = token_features(model, tokenizer, ["骗人", "孩子", "客服"], SingleProcess(), cache)
    assert read == [1]
    assert torch.equal(second[0], first[2]) and torch.equal(second[2], first[0])
    middle = model.encoder.config.num_hidden_layers // 2
    alone = model.features(tokenizer.encode(["孩子"]).take(torch.tensor([0])), middle)[0].detach()
    torch.testing.assert_close(second[1], alone)
