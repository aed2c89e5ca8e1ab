"""Small stand-ins for NOS's published model, made with the scikit-learn of the Python that runs this.

    python scripts/make_joblib_samples.py FOLDER VARIANT...

Writes, for each variant, a joblib file and what scikit-learn's own `predict_proba` says of forty texts. The samples in
tests/joblib were made in throw-away environments with scikit-learn 0.21.3 (Python 3.7), 1.2.2 and 1.4.2 (3.11,
numpy<2), 1.6.1 (3.12) and 1.9.1 (3.11); this script therefore keeps to what Python 3.7 knows.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline

AUTHORED = Path(__file__).parent.parent / "data" / "authored"
LABELS = ["bezorging", "bulk", "designer", "drugsad", "geendrugsad"]
LABELS += ["harddrugs", "medicijnen", "pickup", "post", "softdrugs"]
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "plain": ({}, {"solver": "lbfgs"}, 0),
    "words": (
        {"ngram_range": (1, 2), "sublinear_tf": True, "stop_words": ["de", "het", "een", "en"], "min_df": 2},
        {"solver": "liblinear", "class_weight": "balanced"},
        ("zlib", 6),
    ),
    "characters": (
        {"analyzer": "char_wb", "ngram_range": (2, 4), "strip_accents": "unicode", "norm": "l1", "smooth_idf": False},
        {"solver": "lbfgs"},
        ("xz", 6),
    ),
    "multinomial": ({}, {"solver": "lbfgs", "multi_class": "multinomial"}, ("bz2", 6)),
    "single": (
        {"analyzer": "char", "ngram_range": (1, 3), "dtype": np.float32, "lowercase": False},
        {"solver": "lbfgs"},
        ("gzip", 6),
    ),
}
"""Options of the vectoriser, of the regression, and compression. `multinomial` is for scikit-learn before 1.8."""


def read() -> tuple[list[str], Any]:
    """Texts of the authored messages (every sixteenth), and their labels as 0 and 1, shape [texts, 10]."""
    rows = [json.loads(line) for path in sorted(AUTHORED.glob("authored-*.jsonl")) for line in path.open("rb")][::16]
    said = [set(row["labels"]) | {"drugsad" if row["drugsad"] else "geendrugsad"} for row in rows]
    return [row["text"] for row in rows], np.array([[int(label in each) for label in LABELS] for each in said])


def make(name: str, texts: list[str], truth: Any, folder: Path) -> None:  # noqa: ANN401
    """Fit one variant and write its two files."""
    vectoriser, regression, compress = VARIANTS[name]
    outputs = MultiOutputClassifier(LogisticRegression(C=5.0, max_iter=200, **regression))
    pipeline = Pipeline([("tfidf", TfidfVectorizer(max_features=250, **vectoriser)), ("clf", outputs)])
    pipeline.fit(texts[:-40], truth[:-40])
    checked = texts[-40:-2] + ["", "KOKAÏNE, ÄÖ Straße ǅ  \n\t 24/7 \u200bw1et"]
    expected = np.stack([each[:, 1] for each in pipeline.predict_proba(checked)], axis=1)
    path = folder / f"sklearn-{sklearn.__version__}-{name}.joblib"
    joblib.dump(pipeline, str(path), compress=compress)
    versions = {"sklearn": sklearn.__version__, "numpy": np.__version__, "joblib": joblib.__version__}
    content = {**versions, "python": platform.python_version(), "texts": checked, "expected": expected.tolist()}
    path.with_suffix(".json").write_text(json.dumps(content), encoding="utf-8")
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    texts, truth = read()
    for variant in sys.argv[2:]:
        make(variant, texts, truth, Path(sys.argv[1]))
