"""Read a pretrained encoder from an untrusted source, and refuse one that cannot become a teacher.

No code in its folder is run, and a pickled checkpoint is read for its tensors alone. A trial pass shows whether it
reads texts of the wanted length, since every kind of encoder counts positions differently.
"""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer
from transformers.utils import logging

from distill.errors import BadInput

logging.set_verbosity_error()  # type: ignore[no-untyped-call] # it warns of the unused pooler
logging.disable_progress_bar()  # type: ignore[no-untyped-call]
hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]

# Measured with 12 layers of 384 on one core: 1.3 to 1.6 times as fast as torch's fused attention on the CPU.
ATTENTION = "sdpa" if torch.cuda.is_available() else "eager"
POINTER = b"version https://git-lfs"  # how a file begins that Git LFS has not downloaded
OWN_ENCODER = ("t5", "mt5", "umt5")  # kinds whose encoder is a network of its own
SAMPLE = ["物流很快abc，客服骗人 123", "好" * 2000]  # a usual text, and one that is cut at any length


def load(init: str, max_length: int, layers: int | None = None) -> tuple[Any, Any]:
    """An encoder and its tokenizer that read every text of up to `max_length` tokens; see `read` and `misfit`.

    Raises BadInput for any other.
    """
    encoder, fast = read(init, layers)
    if why := misfit(encoder, fast, max_length):
        raise BadInput(f"--init {init}: {why}")
    return encoder, fast


def read(init: str, layers: int | None = None) -> tuple[Any, Any]:
    """The encoder and its tokenizer from a folder or a hub name, with all its layers or the first `layers`.

    Raises BadInput when something of it is missing or cannot be read.
    """
    refuse_pointers(init)
    try:
        config = AutoConfig.from_pretrained(init, trust_remote_code=False)
    except Exception as e:
        raise unreadable(init, e) from e
    if getattr(config, "is_encoder_decoder", False):
        raise BadInput(f"--init {init}: {config.model_type} is an encoder with a decoder; name one without, as BERT is")
    if layers is not None:
        if layers > (there := getattr(config, "num_hidden_layers", 0)):
            raise BadInput(f"--layers {layers}: {init} has {there}")
        config.num_hidden_layers = layers
    try:
        encoder, loading = network(config).from_pretrained(
            init,
            config=config,
            dtype=torch.float32,
            attn_implementation=ATTENTION,
            output_loading_info=True,
            trust_remote_code=False,
            weights_only=True,
        )
        fast = AutoTokenizer.from_pretrained(init, trust_remote_code=False)
    except Exception as e:
        raise unreadable(init, e) from e
    if missing := sorted(name for name in loading["missing_keys"] if not name.startswith("pooler.")):
        raise BadInput(f"--init {init}: its weights lack {len(missing)} tensors of the encoder, such as {missing[0]}")
    return encoder, fast


def network(config: Any) -> Any:
    """The class of transformers that builds an encoder from a configuration."""
    return AutoModelForTextEncoding if config.model_type in OWN_ENCODER else AutoModel


def refuse_pointers(init: str) -> None:
    """Raise BadInput for a path that is not a folder, and for files that were never downloaded."""
    folder = Path(init)
    if not folder.is_dir():
        if folder.exists() or init.startswith(("/", ".", "~")) or init.count("/") > 1:
            raise BadInput(f"--init {init}: there is no such folder; name the folder of an encoder or a hub name")
        return
    for file in sorted(folder.iterdir()):
        if file.is_file():
            with file.open("rb") as opened:
                if opened.read(len(POINTER)) == POINTER:
                    raise BadInput(
                        f"--init {init}: {file.name} is a pointer of Git LFS, not the file; run git lfs pull there"
                    )


def unreadable(init: str, error: Exception) -> BadInput:
    """The error of an encoder that transformers cannot read: one line with cause and cure."""
    why = (str(error).strip().splitlines() or [""])[0]
    if "trust_remote_code" in str(error):
        return BadInput(
            f"--init {init}: it needs code of its own, which is never run; name an encoder of a kind that transformers "
            "itself has"
        )
    if not Path(init).is_dir():
        return BadInput(
            f"--init {init}: there is no folder of this name here, and the hub does not give it ({why}); download the "
            "encoder where the hub can be reached and name its folder"
        )
    return BadInput(
        f"--init {init}: transformers cannot read it ({type(error).__name__}: {why}); name a folder with the whole of "
        "an encoder: config.json, model.safetensors and tokenizer.json"
    )


def misfit(encoder: Any, fast: Any, max_length: int) -> str | None:
    """Why encoder and tokenizer cannot read every text of up to `max_length` tokens, and the cure; None if they can.

    The encoder reads one text of that length without padding, in evaluation mode.
    """
    if fast.get_vocab().keys() <= set(
        fast.all_special_tokens
    ):  # transformers makes these up where the tokenizer is missing
        return "it has no tokenizer; put its tokenizer.json or vocab.txt next to the weights"
    if not fast.is_fast:
        return "its tokenizer cannot be saved as tokenizer.json; convert it with transformers first"
    if fast.pad_token_id is None:
        return "its tokenizer has no padding token; name one as pad_token in its tokenizer_config.json"
    if (special := fast.num_special_tokens_to_add()) >= max_length:
        return f"texts of {max_length} tokens have no room next to its {special} special ones; read more (--max-length)"
    rows = encoder.get_input_embeddings().weight.shape[0]
    encoded = [i for row in fast(SAMPLE, truncation=True, max_length=max_length)["input_ids"] for i in row]
    if (largest := max([*fast.get_vocab().values(), *encoded])) >= rows:
        return f"its tokenizer knows tokens up to {largest}, its embeddings {rows} only; use the tokenizer of its own"
    token = usual_token(encoder, fast)
    if (why := unread(encoder, token, min(special + 1, max_length))) is not None:
        return f"it does not read texts ({why}); name an encoder of texts, such as BERT"
    if (why := unread(encoder, token, max_length)) is None:
        return None
    reads, fails = 1, max_length
    while fails - reads > 1:
        middle = (reads + fails) // 2
        reads, fails = (middle, fails) if unread(encoder, token, middle) is None else (reads, middle)
    return f"it reads at most {reads} tokens, not {max_length} ({why}); lower --max-length"


def usual_token(encoder: Any, fast: Any) -> int:
    """A token that is neither padding nor special to tokenizer and encoder."""
    padding = getattr(encoder.get_input_embeddings(), "padding_idx", None)
    avoided = {*fast.all_special_ids, encoder.config.pad_token_id, padding}
    return int(min(i for i in fast.get_vocab().values() if i not in avoided))


@torch.no_grad()
def unread(encoder: Any, token: int, length: int) -> str | None:
    """Why the encoder cannot read a text of `length` tokens; None when it can."""
    training = encoder.training
    device = encoder.get_input_embeddings().weight.device
    ids = torch.full((1, length), token, device=device)
    try:
        hidden: Tensor = encoder.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    except Exception as e:  # each kind of encoder raises its own errors
        return f"{type(e).__name__}: {(str(e).strip().splitlines() or [''])[0]}"
    finally:
        encoder.train(training)
    if hidden.shape != (1, length, encoder.config.hidden_size):
        return f"{tuple(hidden.shape)} numbers for {length} tokens"
    return None if bool(hidden.isfinite().all()) else "NaN or infinity"
