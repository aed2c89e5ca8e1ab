"""A pretrained encoder in miniature, made here: what `drugscan train encoder --base` takes, trained in seconds."""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers import models as tokenizer_models

from drugscan.encoder_training import EncoderOptions

WORDS = ["appel", "fiets", "regen", "kaas", "boom", "lamp", "raam", "stoel", "weg", "zon"]
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
    """Unigram, as e5's: special pieces around a text, NFKC, words begin with a mark."""
    made = Tokenizer(tokenizer_models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    texts = [" ".join(WORDS), "plof bus gras coke wiet xtc euro bezorging heel utrecht", "abcdefghijklmnopqrstuvwxyz é 0 1 2"]
    trainer = trainers.UnigramTrainer(vocab_size=160, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    made.train_from_iterator(texts * 20, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def base(folder: Path, **sizes: int) -> str:
    """A random BERT with its tokenizer in a folder."""
    torch.manual_seed(1)
    made = tokenizer()
    config = {"vocab_size": made.get_vocab_size(), "pad_token_id": 1, "max_position_embeddings": 64, **SIZES, **sizes}
    transformers.BertModel(transformers.BertConfig(**config)).save_pretrained(folder)
    named = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **named).save_pretrained(folder)
    return str(folder)


def options(folder: str, **changed: object) -> EncoderOptions:
    """Ways to train that suit a model so small."""
    chosen = {"epochs": 6, "layers": 2, "vocabulary": 0, "max_tokens": 40, "rate": 3e-3, "device": "cpu", **changed}
    return EncoderOptions(folder, **chosen)  # type: ignore[arg-type]
