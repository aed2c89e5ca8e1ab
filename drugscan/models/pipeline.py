"""What a scikit-learn `Pipeline(TfidfVectorizer, MultiOutputClassifier(LogisticRegression))` says, from plain data.

Takes what `pickled.read` gives, and checks everything that scoring relies on; what it does not know it refuses.
Imports only the standard library: it runs in `quarantine`.
"""

import math
from typing import Any, Final

from drugscan.models.errors import ModelError
from drugscan.models.pickled_names import Made, Name
from drugscan.models.raw_arrays import Array, plain, shown

MAX_NGRAM: Final = 32
_NO: Final = ("0", "0.0", "-1", "-1.0", "false", "no", "nee", "n")
_YES: Final = ("1", "1.0", "true", "yes", "ja", "y", "j")
"""How the two classes of an output may be called, in lower case; the second is what the probability is of."""


def facts(root: object) -> tuple[dict[str, object], dict[str, Array]]:
    """Settings, vocabulary and biases for JSON, and the arrays `idf` (if any) and `weights.0`, `weights.1`, ...

    Each array holds float32 or float64, one for each n-gram of the vocabulary. Raises `ModelError`.
    """
    pipeline = _state(root, "Pipeline", "the file")
    steps = pipeline.get("steps")
    if not isinstance(steps, list) or len(steps) != 2 or not all(isinstance(s, tuple) and len(s) == 2 for s in steps):
        raise ModelError("its pipeline does not have two steps: a TfidfVectorizer and a MultiOutputClassifier")
    vectorizer = _state(steps[0][1], "TfidfVectorizer", "its first step")
    transformer = _state(vectorizer.get("_tfidf"), "TfidfTransformer", "the TF-IDF of its vectorizer")
    classifier = _state(steps[1][1], "MultiOutputClassifier", "its second step")
    vocabulary = _vocabulary(vectorizer.get("vocabulary_"))
    idf = _idf(transformer, len(vocabulary))
    outputs = [_output(each, len(vocabulary), i) for i, each in enumerate(_estimators(classifier))]
    arrays = {f"weights.{i}": weights for i, (_, weights) in enumerate(outputs)}
    described: dict[str, object] = {
        "settings": _settings(vectorizer, transformer),
        "vocabulary": vocabulary,
        "outputs": [output for output, _ in outputs],
        "sklearn": shown(pipeline.get("_sklearn_version", "before 0.18")),
    }
    return described, arrays | ({} if idf is None else {"idf": idf})


def _state(found: object, kind: str, what: str) -> dict[str, Any]:
    if not isinstance(found, Made) or found.kind.name != kind:
        name = found.kind.name if isinstance(found, Made) else "something else"
        raise ModelError(f"{what} is {shown(name)}, not a {kind}")
    if found.state is None:
        raise ModelError(f"{what} is a {kind} without content")
    return found.state


def _chosen(state: dict[str, Any], name: str, allowed: tuple[object, ...], otherwise: object = None) -> Any:  # noqa: ANN401
    value = state.get(name, otherwise)
    if not isinstance(value, str | int | None) or value not in allowed:
        said = shown(value) if isinstance(value, str | int | float) else "something else"
        raise ModelError(f"its {name} is {said}; known are {', '.join(map(str, allowed))}")
    return value


def _settings(vectorizer: dict[str, Any], transformer: dict[str, Any]) -> dict[str, object]:
    """What decides how a text becomes features, under the names of `tfidf.TfidfConfig`."""
    _chosen(vectorizer, "input", ("content",))
    for name in ("tokenizer", "preprocessor"):
        if vectorizer.get(name) is not None:
            raise ModelError(f"its vectorizer has a {name} of its own: code, which cannot be taken over")
    analyzer = _chosen(vectorizer, "analyzer", ("word", "char", "char_wb"))
    words = analyzer == "word"
    return {
        "analyzer": analyzer,
        "ngram_range": _ngram_range(vectorizer.get("ngram_range")),
        "lowercase": bool(_chosen(vectorizer, "lowercase", (True, False))),
        "strip_accents": _chosen(vectorizer, "strip_accents", ("ascii", "unicode", None)),
        "token_pattern": _pattern(vectorizer.get("token_pattern")) if words else None,
        "stop_words": _stop_words(vectorizer.get("stop_words")) if words else None,
        "binary": bool(_chosen(vectorizer, "binary", (True, False))),
        "sublinear_tf": bool(_chosen(transformer, "sublinear_tf", (True, False))),
        "norm": _chosen(transformer, "norm", ("l1", "l2", None)),
        "dtype": _dtype(vectorizer.get("dtype")),
    }


def _ngram_range(found: object) -> list[int]:
    if isinstance(found, tuple | list) and len(found) == 2 and all(type(each) is int for each in found):
        low, high = found
        if 1 <= low <= high <= MAX_NGRAM:
            return [low, high]
    raise ModelError(f"its ngram_range is not two numbers from 1 to {MAX_NGRAM}, the smaller first")


def _pattern(found: object) -> str:
    if isinstance(found, str):
        return found
    raise ModelError("its token_pattern is no text")


def _stop_words(found: object) -> object:
    """None, `english` (the list that scikit-learn brings), or the words."""
    if found is None or found == "english":
        return found
    if isinstance(found, list | tuple) and all(isinstance(word, str) for word in found):
        return sorted(set(found))
    raise ModelError("its stop_words are no list of words")


def _dtype(found: object) -> str:
    name = found.name if isinstance(found, Name) else found
    if name in ("float64", "float32"):
        return str(name)
    raise ModelError("its vectorizer counts in another dtype than float64 or float32")


def _vocabulary(found: object) -> list[str]:
    """The n-grams in the order of their columns."""
    if not isinstance(found, dict) or not found:
        raise ModelError("its vectorizer has no vocabulary: it was never fitted")
    ordered: list[str | None] = [None] * len(found)
    for ngram, column in found.items():
        if not isinstance(ngram, str) or type(column) is not int or not 0 <= column < len(ordered):
            raise ModelError("its vocabulary does not give each n-gram a column")
        ordered[column] = ngram
    columns = [ngram for ngram in ordered if ngram is not None]
    if len(columns) != len(found):
        raise ModelError("its vocabulary gives two n-grams one column")
    return columns


def _idf(transformer: dict[str, Any], count: int) -> Array | None:
    if not _chosen(transformer, "use_idf", (True, False)):
        return None
    found = transformer.get("idf_", transformer.get("_idf_diag"))
    if isinstance(found, Made):  # before scikit-learn 1.4: the diagonal of a sparse matrix
        found = _diagonal(found, count)
    return _floats(found, (count,), "idf")


def _diagonal(matrix: Made, count: int) -> object:
    state = matrix.state or {}
    places = state.get("offsets" if matrix.kind.name == "dia_matrix" else "indices")
    expected = [0] if matrix.kind.name == "dia_matrix" else list(range(count))
    data = state.get("data")
    if not isinstance(places, Array) or plain(places) != expected or not isinstance(data, Array):
        raise ModelError("its idf is no diagonal matrix")
    return Array(data.code, data.shape[-1:], False, data.data) if data.shape[:-1] in ((), (1,)) else None


def _floats(found: object, shape: tuple[int, ...], what: str) -> Array:
    if not isinstance(found, Array) or found.code not in ("f4", "f8"):
        raise ModelError(f"it has no {what}, or not as float32 or float64: it was never fully fitted")
    if found.shape != shape:
        raise ModelError(f"its {what} has shape {found.shape}, its vocabulary asks for {shape}")
    return found


def _estimators(classifier: dict[str, Any]) -> list[dict[str, Any]]:
    found = classifier.get("estimators_")
    if not isinstance(found, list) or not found:
        raise ModelError("its MultiOutputClassifier has no estimators_: it was never fitted")
    return [_state(each, "LogisticRegression", f"output {number}") for number, each in enumerate(found)]


def _output(state: dict[str, Any], count: int, number: int) -> tuple[dict[str, object], Array]:
    """One output: its weights, the bias, and a factor for both.

    `constant` is the probability that an output fitted on one class always gives, else null.
    """
    says_yes = _classes(state.get("classes_"), number)
    weights = _floats(state.get("coef_"), (1, count), f"coef_ of output {number}")
    bias = state.get("intercept_", 0.0)
    if isinstance(bias, Array):
        bias = plain(_floats(bias, (1,), f"intercept_ of output {number}"))[0]
    if not isinstance(bias, int | float) or not math.isfinite(bias):
        raise ModelError(f"the intercept_ of output {number} is no number")
    factor = -1 if says_yes == [True, False] else 1
    if state.get("multi_class") == "multinomial":  # until scikit-learn 1.7: scores -x and x, so x counts twice
        factor *= 2
    constant = float(says_yes[0]) if len(says_yes) == 1 else None
    return {"bias": float(bias), "factor": factor, "constant": constant}, weights


def _classes(found: object, number: int) -> list[bool]:
    """Whether each class (one, or two of which one) means yes."""
    few = isinstance(found, Array) and found.shape in ((1,), (2,))
    names = [str(each).lower() for each in plain(found)] if few and isinstance(found, Array) else []
    says_yes = [name in _YES for name in names]
    if not names or not set(names) <= {*_NO, *_YES} or (len(names) == 2 and sum(says_yes) != 1):
        raise ModelError(f"output {number} has the classes {shown(names)}; two are expected, one no and one yes")
    return says_yes
