"""Ways to compute a teacher's logits on a CPU: texts a processor second, and how far the logits are from float32.

    before          float32, texts of similar length in batches of 1,024 tokens, padded to a multiple of 8
    float32         what store_teacher_logits runs by torch: batches of 512 tokens, as long as their longest text
    bfloat16        the same with --precision bfloat16
    int8            torch's dynamic quantization of the linear layers
    int8 in part    without those that read a feed-forward block's wide hidden state, and without the head
    onnx, onnx int8 ONNX Runtime with the graph of the network, in float32 and with 8 bits everywhere
    openvino        the same graph in OpenVINO, float32: what store_teacher_logits runs where OpenVINO is installed

Rounds are interleaved; figures are medians. `make bench` installs what is needed.

    .venv/bin/python benchmarks/teacher_inference.py --stream ../shared/data/stream/dt=2026-11-20.jsonl.gz
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from logits import read
from scoring_lines import size_of
from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

from distill.data.dataset import BATCH_TOKENS, length_buckets
from distill.models import bundle as bundles
from distill.models.bert import Bert, Padded, Tokenizer, from_bundle
from distill.models.padding import PAD_TO, padded
from jobs.common.home import home_registry

RESULTS = Path(__file__).parent / "results"
Logits = npt.NDArray[np.float32]
Network = Callable[[Padded], Logits]
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")  # what decides the speeds
PACKAGES = ("torch", "onnxruntime", "openvino")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="bert")
    parser.add_argument("--stream", type=Path, required=True, help="a day of the stream, .jsonl.gz")
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    texts = read(args.stream)[: args.texts]
    registry = home_registry()
    name = registry.resolve(args.teacher)
    bundle = bundles.load(registry.path(name))
    with tempfile.TemporaryDirectory() as folder:
        ways = networks(bundle, args.threads, Path(folder))
        _, tokenizer = from_bundle(bundle, "float32")
        logits, seconds = measure(ways, tokenizer, texts, args.rounds)
    write(logits, seconds, f"{name}, {size_of(bundle)}", tokenizer, texts, args)


class Way(NamedTuple):
    """Batch to logits, the multiple of tokens that a batch is padded to, and the most tokens of a batch."""

    network: Network
    pad_to: int = 1
    tokens: int = BATCH_TOKENS["cpu"]


def networks(bundle: bundles.Bundle, threads: int, folder: Path) -> dict[str, Way]:
    """The ways by name."""
    import onnxruntime
    import openvino
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model, _ = from_bundle(bundle, "float32")
    low, _ = from_bundle(bundle, "bfloat16")
    whole, small = folder / "teacher.onnx", folder / "teacher-int8.onnx"
    export(model, whole)
    quantize_dynamic(str(whole), str(small), weight_type=QuantType.QInt8, per_channel=True)

    def by_onnx(file: Path) -> Network:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        return lambda batch: session.run(None, {"ids": batch.ids.numpy(), "mask": batch.mask.numpy()})[0]

    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(whole), "CPU", settings)
    return {
        "before": Way(by_torch(model), 8, 1024),
        "float32": Way(by_torch(model)),
        "bfloat16": Way(by_torch(low), PAD_TO),
        "int8": Way(by_torch(in_8_bits(model, everywhere=True))),
        "int8 in part": Way(by_torch(in_8_bits(model, everywhere=False))),
        "onnx": Way(by_onnx(whole)),
        "onnx int8": Way(by_onnx(small)),
        "openvino": Way(lambda batch: compiled([batch.ids.numpy(), batch.mask.numpy()])[0]),
    }


def in_8_bits(model: Bert, everywhere: bool) -> Bert:
    """Linear layers with a scale for each output's weights, and one for the inputs of a batch."""
    wide = model.encoder.config.hidden_size
    linear = {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
    part = [name for name, layer in linear.items() if layer.in_features <= wide and name != "output"]
    chosen = dict.fromkeys(linear if everywhere else part, per_channel_dynamic_qconfig)
    with warnings.catch_warnings(action="ignore"):  # torch names a successor of the function
        quantised: Bert = quantize_dynamic(model, chosen, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    return quantised


def by_torch(model: Bert) -> Network:
    def logits(batch: Padded) -> Logits:
        with torch.no_grad():
            return model(batch).float().numpy()

    return logits


def export(model: Bert, file: Path) -> None:
    """The network as an ONNX graph for any number of texts and tokens."""

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.model(Padded(ids, mask))

    ids, mask = torch.ones(2, 3, 9, dtype=torch.int64)  # two: a tensor given twice is one input
    free = {name: {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} for name in ("ids", "mask")}
    names = {"input_names": ["ids", "mask"], "output_names": ["logits"]}
    torch.onnx.export(Flat().eval(), (ids, mask), str(file), dynamic_shapes=free, verbose=False, **names)


def measure(
    ways: dict[str, Way], tokenizer: Tokenizer, texts: list[str], rounds: int
) -> tuple[dict[str, Logits], dict[str, list[float]]]:
    """Logits and processor seconds of each round, by way; a round before them warms up."""
    encoded = tokenizer.encode(texts)
    logits, seconds = {}, {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            view = encoded._replace(pad_to=way.pad_to)
            result = np.empty((len(texts), 2), np.float32)
            started = time.process_time()
            for rows in length_buckets(padded(view.lengths, way.pad_to), way.tokens):
                result[rows.numpy()] = way.network(view.take(rows))
            logits[name] = result
            if number:
                seconds[name].append(time.process_time() - started)
    return logits, seconds


def processor() -> list[str]:
    """The processor's kind, and its instructions that decide the speeds."""
    known = Path("/proc/cpuinfo")
    has = set(known.read_text().split()) if known.exists() else set()
    return [platform.machine(), *(flag for flag in FLAGS if flag in has)]


def write(
    logits: dict[str, Logits],
    seconds: dict[str, list[float]],
    teacher: str,
    tokenizer: Tokenizer,
    texts: list[str],
    args: argparse.Namespace,
) -> None:
    """The result as JSON and as a page."""
    first, *_ = logits
    margins = {name: one[:, 1] - one[:, 0] for name, one in logits.items()}
    rows = [
        {
            "way": name,
            "texts_per_s": round(len(texts) / statistics.median(taken), 1),
            "ratio": round(statistics.median(seconds[first]) / statistics.median(taken), 2),
            "logit_error_mean": float(np.abs(logits[name] - logits[first]).mean()),
            "logit_error_max": float(np.abs(logits[name] - logits[first]).max()),
            "other_decisions": float(((margins[name] > 0) != (margins[first] > 0)).mean()),
            "seconds": [round(one, 2) for one in taken],
        }
        for name, taken in seconds.items()
    ]
    content = {
        "command": shlex.join(["benchmarks/teacher_inference.py", *sys.argv[1:]]),
        "teacher": teacher,
        "tokens_per_text": float(tokenizer.encode(texts).lengths.float().mean()),
        "processor": processor(),
        "packages": {name: version(name) for name in PACKAGES},
        "rows": rows,
    }
    lines = [
        "# A teacher's logits on a CPU",
        f"`{content['command']}`, teacher {teacher}; {len(texts)} texts of {content['tokens_per_text']:.1f} tokens on "
        f"average, {args.threads} thread of {os.cpu_count()} cores, {', '.join(content['processor'])}; "
        f"{', '.join(f'{name} {number}' for name, number in content['packages'].items())}; median of {args.rounds} "
        "interleaved rounds.",
        "| way | texts a processor second | ratio | error of a logit: mean | max | other decisions at 0.5 |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        + "\n".join(
            f"| {row['way']} | {row['texts_per_s']:.0f} | {row['ratio']:.2f} | {row['logit_error_mean']:.4f} | "
            f"{row['logit_error_max']:.3f} | {row['other_decisions']:.2%} |"
            for row in rows
        ),
    ]
    (RESULTS / "teacher-inference.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "teacher-inference.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    print("\n\n".join(lines))


if __name__ == "__main__":
    main()
