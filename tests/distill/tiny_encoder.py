"""A small random BERT with its tokenizer, in a folder as transformers writes it."""

from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

POSITIONS = 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ASCII = "abcdefghijklmnopqrstuvwxyz0123456789"
# Those of the phrases that tests write, and a range for noise between them; any other is [UNK].
CHINESE = "".join(
    dict.fromkeys(
        "退款不给退客服骗人质量太差味道好极了物流很快孩子喜欢差劲很好物业乱收费多次投诉无果"
        "这家店的菜真好吃三个月还没到账转发微博电话打不通" + "".join(map(chr, range(0x5000, 0x5040)))
    )
)


def tiny_encoder(folder: Path, seed: int = 0, dropout: float = 0.0, positions: int = POSITIONS, width: int = 16) -> str:
    """Save a model of `width` numbers a token; returns the folder as --init takes it."""
    tokens = [*SPECIAL, *CHINESE, *ASCII, *(f"##{letter}" for letter in ASCII)]
    BertTokenizerFast(vocab={token: i for i, token in enumerate(tokens)}, model_max_length=positions).save_pretrained(
        folder
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=positions,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.2,  # of few numbers each; BERT's own 0.02 would leave all texts alike
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)
