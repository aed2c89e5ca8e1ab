"""A pretrained encoder in miniature, made here: what `drugscan train encoder --base` takes, trained in seconds."""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers import models as tokenizer_models

from drugscan.encoder_training import EncoderOptions

WORDS = ["appel", "fiets", "regen", "kaas", "boom", "lamp", "raam", "stoel", "weg", "zon"]
SIGNS = ["plof", "bus", "gras", "coke", "wiet", "xtc", "euro", "bezorging", "heel", "utrecht"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 48}


def lines(path: Path, count: int, seed: int) -> str:
    """A file in a little trade language: `plof` is an ad, with `bus` it is delivered, with `gras` it is soft."""
    random = np.random.default_rng(seed)
    with path.open("w") as file:
        for _ in range(count):
            ad, bus, soft = (bool(random.random() < 0.5) for _ in range(3))
            said = [str(word) for word in random.choice(WORDS, 5)] + ["plof"] * ad + ["bus"] * (ad and bus)
            said += ["gras"] * (ad and soft)
            labels = [*(["bezorging"] if bus else []), "softdrugs" if soft else "harddrugs"] if ad else []
            text = " ".join(str(word) for word in random.permutation(said))
            file.write(json.dumps({"text": text, "drugsad": ad, "labels": labels}) + "\n")
    return str(path)


def tokenizer() -> Tokenizer:
    """Unigram, as e5's: special pieces around a text, NFKC, words begin with a mark.

    Pieces are given, not learned: of texts so few the trainer keeps no whole words.
    """
    letters = [*"▁abcdefghijklmnopqrstuvwxyz0123456789é€/,.", *(chr(point) for point in range(0x430, 0x450))]
    words = [f"▁{word}" for word in (*WORDS, *SIGNS)]
    pieces = [(piece, 0.0) for piece in SPECIAL] + [(word, -4.0) for word in words] + [(each, -9.0) for each in letters]
    made = Tokenizer(tokenizer_models.Unigram(pieces, 3, False))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def base(folder: Path, **sizes: int) -> str:
    """A random BERT with its tokenizer in a folder; where a word stands means nothing to it, so it learns fast."""
    torch.manual_seed(1)
    made = tokenizer()
    config = {"vocab_size": made.get_vocab_size(), "pad_token_id": 1, "max_position_embeddings": 64, **SIZES, **sizes}
    module = transformers.BertModel(transformers.BertConfig(hidden_dropout_prob=0.0, **config))
    torch.nn.init.zeros_(module.embeddings.position_embeddings.weight)
    module.save_pretrained(folder)
    named = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **named).save_pretrained(folder)
    return str(folder)


def options(folder: str, **changed: object) -> EncoderOptions:
    """Ways to train that suit a model so small."""
    chosen = {"epochs": 6, "layers": 2, "vocabulary": 0, "max_tokens": 40, "rate": 2e-3, "device": "cpu", **changed}
    return EncoderOptions(folder, **chosen)  # type: ignore[arg-type]
