"""Students with random weights, and the texts that their vocabularies are of, for the tests of scoring."""

import json

import torch
from hypothesis import strategies as st

from distill.models.architecture import EMBEDDING_STD, Architecture, Dropout
from distill.models.bundle import Bundle
from distill.models.textcnn import TextCNN
from distill.text.vocabulary import Limit, Vocabulary

TEXTS = [
    "物业乱收费，多次投诉无果",
    "这家店的菜真好吃",
    "退款三个月了还没到账！！！",
    "转发微博",
    "客服电话打不通abc123",
]
CHANNELS = {"word": Limit(1, 1000), "char": Limit(1, 1000), "bigram": Limit(1, 1000)}
WIDE = {"trigram": Limit(1, 1000), "fourgram": Limit(1, 1000)}

texts = st.text(st.sampled_from("物业乱收费投诉这家店的菜真好吃退款客服 ，！a1b2c3龘𠀀☀ＡＢ&;\x00"), max_size=40)
any_widths = st.dictionaries(
    st.sampled_from(sorted(CHANNELS)),
    st.sets(st.integers(1, 5), min_size=1).map(lambda widths: tuple(sorted(widths))),
    min_size=1,
)


def random_student(
    seed: int, widths: dict[str, tuple[int, ...]], embedding: int = 5, filters: int = 3, average: int = 4
) -> TextCNN:
    """A network with random weights everywhere but in the padding row."""
    torch.manual_seed(seed)
    vocabulary = Vocabulary.build(TEXTS, {name: CHANNELS[name] for name in widths} | WIDE)
    ids, wide = ({name: vocabulary.size(name) for name in names} for names in (widths, WIDE))
    student = TextCNN(Architecture(ids, widths, embedding, filters, wide, average), Dropout()).eval()
    for name, parameter in student.named_parameters():
        # The averaging part divides by EMBEDDING_STD what it reads: its units are to be of the size of the filters.
        torch.nn.init.normal_(parameter, std=EMBEDDING_STD if name.startswith("average.layers") else 1.0)
        if name.startswith(("embeddings", "wide")):
            torch.nn.init.zeros_(parameter[0])
    return student


def bundle_of(student: TextCNN, threshold: float = 0.5) -> Bundle:
    """The student as a bundle in memory, its manifest as JSON gives it back."""
    widths = student.architecture.widths
    vocabulary = Vocabulary.build(TEXTS, {name: CHANNELS[name] for name in widths} | WIDE)
    manifest = {
        "architecture": student.architecture.to_json(),
        "text": {"fingerprint": vocabulary.fingerprint()},
        "threshold": {"value": threshold},
    }
    tensors = {name: tensor.detach().numpy().copy() for name, tensor in student.state_dict().items()}
    return Bundle(json.loads(json.dumps(manifest, sort_keys=True)), tensors, {"vocabulary": vocabulary.to_bytes()}, "")
