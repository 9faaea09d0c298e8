"""A BERT compiled by OpenVINO for the CPU: the logits of `distill.models.bert.Bert`, in less time.

In float32 logits differ from torch's by less than the texts of a batch make them differ. In bfloat16 they have its two
digits where the processor has such products, and all digits elsewhere.
"""

import importlib.util
import logging
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distill.models.bert import Bert, Padded

log = logging.getLogger("opinion")

Network = Callable[[Padded], npt.NDArray[np.float32]]
HINTS = {"float32": "f32", "bfloat16": "bf16"}


class Traced(torch.nn.Module):
    """The network for a tracer, which takes tensors alone and turns every Python number into a constant."""

    def __init__(self, model: Bert):
        super().__init__()
        self.encoder, self.output = model.encoder, model.output
        self.eval()

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits, float32 (batch, 2); ids and mask as in `Padded`."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        tokens = mask[:, :, None].float()
        logits: Tensor = self.output((hidden * tokens).sum(1) / tokens.sum(1).clamp(min=1))
        return logits


def compile_for_cpu(model: Bert) -> Network | None:
    """The network of batches of any size, on as many threads as torch has; None where OpenVINO is missing or fails."""
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino

    example = torch.ones(3, 9, dtype=torch.int64)
    mask = example.clone()
    mask[1, 5:] = 0
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": HINTS[model.precision],
        "ENABLE_CPU_PINNING": False,  # or the workers of a host would share its first core
    }
    try:
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            graph = openvino.convert_model(Traced(model), example_input=(example, mask))
        compiled = openvino.Core().compile_model(graph, "CPU", settings)
        compiled([example.numpy()[:2], mask.numpy()[:2]])  # another batch than the traced one
    except Exception as e:  # of any kind, for any encoder that its tracer does not know
        log.warning("OpenVINO cannot compile this encoder, torch computes its logits: %s", e)
        return None
    return lambda batch: np.asarray(compiled([batch.ids.numpy(), batch.mask.numpy()])[0], np.float32)
