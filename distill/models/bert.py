"""The teacher: a pretrained encoder of any kind that transformers knows (BERT: Devlin 2019), and a classification head.

h_0 … h_L = encoder(ids)            (batch, tokens, width) each
m = mean of h_L over the tokens     (batch, width)
z = m U + u                         (batch, 2) the logits: junk, valid complaint
"""

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer

from distill.errors import BadModel
from distill.models.architecture import Precision
from distill.models.bundle import ENCODER_FILES, Bundle
from distill.models.padding import PAD_TO, padded
from distill.models.pretrained import ATTENTION, load, misfit, network

KIND = "bert"
ENCODED_AT_ONCE = 4096  # texts; their tokens are Python integers for a moment, a hundred times as large
HEAD_RATE = 10  # times the encoder's learning rate: the head starts from nothing


class Padded(NamedTuple):
    """A batch: ids int64 (batch, longest); mask int64 (batch, longest), 1 for tokens and 0 for padding."""

    ids: Tensor
    mask: Tensor


class TokenIds(NamedTuple):
    """A teacher's view of texts: ids int32 (tokens,), text after text; offsets int64 (texts + 1,).

    `padding` is the token that fills the shorter rows of a batch, to a multiple of `pad_to`; `most` is the longest text
    that the encoder reads.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    padding: int
    most: int
    pad_to: int = PAD_TO

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, int64 (texts,)."""
        return torch.from_numpy(np.diff(self.offsets))

    def take(self, rows: Tensor) -> Padded:
        """Some texts, int64 (batch,), padded to the longest of them and a little more: see `padded`."""
        starts, lengths = torch.from_numpy(self.offsets)[rows], self.lengths[rows]
        place = torch.arange(max([1, *padded(lengths, self.pad_to).clamp(max=self.most).tolist()]))
        inside = place < lengths[:, None]
        flat = torch.from_numpy(self.ids)
        ids = torch.full(inside.shape, self.padding)
        ids[inside] = flat[(starts[:, None] + place)[inside]].long()
        return Padded(ids, inside.long())


class Tokenizer:
    """The encoder's own subword tokenizer; the longest texts are cut."""

    def __init__(self, fast: Any, max_length: int):
        self._fast = fast
        self.max_length = max_length

    def encode(self, texts: list[str]) -> TokenIds:
        """Token ids of normalised texts, with the special tokens that the encoder was trained with."""
        if not texts:  # which the tokenizers of transformers do not take
            return TokenIds(np.empty(0, np.int32), np.zeros(1, np.int64), self._fast.pad_token_id, self.max_length)
        ids, lengths = [], [np.zeros(1, np.int64)]
        for first in range(0, len(texts), ENCODED_AT_ONCE):
            rows = self._fast(
                texts[first : first + ENCODED_AT_ONCE],
                truncation=True,
                max_length=self.max_length,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
            lengths.append(np.fromiter(map(len, rows), np.int64, len(rows)))
            ids.append(np.fromiter((i for row in rows for i in row), np.int32, int(lengths[-1].sum())))
        offsets = np.cumsum(np.concatenate(lengths))
        return TokenIds(np.concatenate(ids), offsets, self._fast.pad_token_id, self.max_length)

    def files(self) -> dict[str, bytes]:
        """The tokenizer's files, as the bundle stores them: name -> content."""
        with tempfile.TemporaryDirectory() as folder:
            self._fast.save_pretrained(folder)
            return {name: Path(folder, name).read_bytes() for name in ENCODER_FILES if name.startswith("tokenizer")}


class Bert(nn.Module):
    """The network; `forward` returns logits, `features` the input of the output layer."""

    def __init__(self, encoder: Any, precision: Precision):
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # made for the first token, and unused here
        self.encoder = encoder
        self.precision = precision
        self.output = nn.Linear(encoder.config.hidden_size, 2)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def forward(self, batch: Padded) -> Tensor:
        """Logits, float32 (batch, 2)."""
        logits: Tensor = self.output(self.features(batch))
        return logits

    def features(self, batch: Padded, layer: int = -1) -> Tensor:
        """Mean of a layer over the tokens of each text, float32 (batch, width); 0 is the embeddings, -1 the last."""
        rows = len(batch.ids)
        if rows == 0:  # encoders cannot read nothing; one row, left out again, gives every parameter a gradient of zero
            batch = Padded(batch.ids.new_zeros(1, 1), batch.mask.new_ones(1, 1))
        low = self.precision == "bfloat16"
        with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=low):
            outputs = self.encoder(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=layer != -1)
        hidden = (outputs.last_hidden_state if layer == -1 else outputs.hidden_states[layer]).float()
        mask = batch.mask[:, :, None].float()
        mean: Tensor = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        return mean[:rows]

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """The encoder's matrices, its vectors, which do not decay (as in BERT's own training), and the head."""
        matrices = [p for p in self.encoder.parameters() if p.ndim > 1]
        vectors = [p for p in self.encoder.parameters() if p.ndim <= 1]
        return [
            {"params": matrices, "lr": learning_rate, "weight_decay": weight_decay},
            {"params": vectors, "lr": learning_rate, "weight_decay": 0.0},
            {"params": list(self.output.parameters()), "lr": HEAD_RATE * learning_rate, "weight_decay": weight_decay},
        ]


def first_layers(model: Bert, count: int) -> Bert:
    """The network without the layers after `count`, with shared weights; the whole one if its layers are no list."""
    shortened = copy.deepcopy(model, {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]})
    config = shortened.encoder.config
    lists = [
        (parent, name)
        for parent in shortened.encoder.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == config.num_hidden_layers
    ]
    if len(lists) == 1:
        parent, name = lists[0]
        setattr(parent, name, getattr(parent, name)[:count])
        config.num_hidden_layers = count
    return shortened


def from_pretrained(
    init: str, max_length: int, precision: Precision, layers: int | None = None
) -> tuple[Bert, Tokenizer]:
    """An untrained teacher from a folder or a hub name, with all its layers or the first `layers`.

    Raises BadInput when transformers cannot read it, something of it is missing, or it cannot read texts of
    `max_length` tokens.
    """
    encoder, fast = load(init, max_length, layers)
    return Bert(encoder, precision), Tokenizer(fast, max_length)


def to_bundle(model: Bert, tokenizer: Tokenizer, manifest: Mapping[str, Any]) -> Bundle:
    """The teacher as a bundle that is not yet saved; `manifest` are the caller's sections."""
    config = model.encoder.config.to_json_string(use_diff=False).encode()
    files = {"config.json": config, **tokenizer.files()}
    tensors = {name: tensor.detach().float().cpu().numpy().copy() for name, tensor in model.state_dict().items()}
    architecture = {"kind": KIND, "encoder": model.encoder.config.model_type, "max_length": tokenizer.max_length}
    return Bundle({"architecture": architecture, **manifest}, tensors, files, "")


def from_bundle(bundle: Bundle, precision: Precision) -> tuple[Bert, Tokenizer]:
    """A trained teacher, in evaluation mode.

    Raises BadModel when the bundle holds another kind of model, its tensors do not fit its configuration, or it cannot
    read texts of the manifest's `max_length`.
    """
    architecture = bundle.manifest.get("architecture", {})
    if architecture.get("kind") != KIND:
        raise BadModel(
            f"the bundle is a {architecture.get('kind')}, not a {KIND}; name a version of opinion train_teacher"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name in ENCODER_FILES:
            Path(folder, name).write_bytes(bundle.files[name])
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        fast = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = Bert(network(config).from_config(config, attn_implementation=ATTENTION, trust_remote_code=False), precision)
    try:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in bundle.tensors.items()})
    except RuntimeError as e:
        raise BadModel(f"the tensors of the bundle do not fit its config.json: {e}; train the teacher again") from e
    max_length = int(architecture["max_length"])
    if why := misfit(model.encoder, fast, max_length):
        raise BadModel(f"the teacher of the bundle cannot be used: {why} and train it again")
    return model.eval(), Tokenizer(fast, max_length)
