"""The names that a joblib file of such a pipeline holds, and what stands in for each: `pickled` knows no others.

Exact strings, compared and never looked up. Imports only the standard library: it runs in `quarantine`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from drugscan.models.errors import ModelError
from drugscan.models.raw_arrays import Array, Dtype, array, scalar, shown

_CORES: Final = ("numpy.core", "numpy._core")
"""What numpy's inner package was called before numpy 2, and since."""
CLASSES: Final = frozenset(
    {
        ("sklearn.pipeline", "Pipeline"),
        ("sklearn.feature_extraction.text", "TfidfVectorizer"),
        ("sklearn.feature_extraction.text", "TfidfTransformer"),
        ("sklearn.multioutput", "MultiOutputClassifier"),
        ("sklearn.linear_model._logistic", "LogisticRegression"),
        ("sklearn.linear_model.logistic", "LogisticRegression"),
    }
    | {(f"scipy.sparse.{mark}{kind}", f"{kind}_matrix") for mark in ("", "_") for kind in ("csr", "dia")}
)
"""Classes whose objects may stand in a file; scipy's hold the idf in files of old versions of scikit-learn."""
WRAPPER: Final = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_ONLY_NAMED: Final = frozenset({("numpy", "ndarray"), ("numpy", "float64"), ("numpy", "float32")})


@dataclass(frozen=True)
class Name:
    """What Python would import: here just its name."""

    module: str
    name: str

    def pair(self) -> tuple[str, str]:
        """As it stands in the lists above."""
        return self.module, self.name


@dataclass(eq=False)
class Made:
    """An object: the name of its class, and its attributes once they have been given."""

    kind: Name
    state: dict[str, Any] | None = None


def _encoded(text: str, encoding: str) -> bytes:
    """How protocols before 3 write bytes."""
    if encoding != "latin1":
        raise ModelError("it encodes text in an unusual way")
    return text.encode("latin-1")


CALLS: Final[dict[tuple[str, str], Callable[..., Any]]] = {
    ("numpy", "dtype"): lambda code, *_: Dtype(code),
    **{(f"{core}.multiarray", "_reconstruct"): lambda *_: Array() for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): scalar for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): array for core in _CORES},
    ("_codecs", "encode"): _encoded,
    # as lists: nothing in them needs to be hashed
    **{(module, kind): list for module in ("builtins", "__builtin__") for kind in ("set", "frozenset")},
}
"""What a file may call, and what stands in for it: nothing of these is numpy's or Python's own."""


def named(module: str, name: str) -> Name:
    """The name, if it may stand in a file; raises `ModelError`."""
    found = Name(module, name)
    if not isinstance(module, str) or not isinstance(name, str):
        raise ModelError("it names something by what is no text")
    if found.pair() in CLASSES or found.pair() in CALLS or found.pair() in _ONLY_NAMED or found.pair() == WRAPPER:
        return found
    if module.startswith("joblib") and name.endswith("NDArrayWrapper"):
        raise ModelError("it is in the format of joblib before 0.10; load and dump it again with a newer joblib")
    raise ModelError(
        f"it asks for {shown(module)}.{shown(name)}, which is no part of the pipeline that can be imported: "
        "functions of one's own (tokenizers, say) and other classes cannot be taken over, and malicious files look so"
    )
