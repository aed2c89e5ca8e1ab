"""Files that are malicious, broken or something else: refused with a clear reason, and nothing of them runs.

Each malicious file would make a file (`marker`) if it were loaded; where Python's own unpickler falls for it, the test
makes sure of that first, so that it cannot pass because the attack does not work.
"""

import ast
import contextlib
import io
import json
import lzma
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from drugscan.models import pickled, pipeline, quarantine
from drugscan.models.errors import ModelError
from drugscan.models.published import import_joblib
from tests.conftest import REPOSITORY

SAMPLE = REPOSITORY / "tests" / "joblib" / "sklearn-1.9.1-plain.joblib"
SMALL = quarantine.Limits(content_bytes=20_000_000, memory_bytes=400_000_000, cpu_seconds=20)


def refused(path: Path, limits: quarantine.Limits = SMALL) -> str:
    """Why a file is refused; nothing may have been written for it."""
    out = path.parent / "out"
    with pytest.raises(ModelError) as caught:
        import_joblib(str(path), str(out), limits=limits)
    assert not out.exists()
    assert str(caught.value).startswith(f"{path} cannot be imported: ")
    assert str(caught.value).isprintable()
    return str(caught.value)


# --- malicious ------------------------------------------------------------------------------------------------


class Reduced:
    """An object whose pickle calls `function(*arguments)`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.reduction = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduction


class WithSetter:
    """An object whose state is set by a function of the attacker's (opcode REDUCE on behalf of BUILD, protocol 4)."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (dict, (), self.path, None, None, _touch)


def _touch(_: object, path: str) -> None:
    Path(path).touch()


def _text(value: str) -> bytes:
    """The opcode that pushes a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _dotted(marker: Path) -> bytes:
    """A name with dots in a module that is known: protocol 4 goes from attribute to attribute."""
    call = _text("joblib.numpy_pickle") + _text("os.system") + b"\x93" + _text(f"touch {marker}") + b"\x85R."
    return b"\x80\x04" + call


def _inst(marker: Path) -> bytes:
    return f"(S'touch {marker}'\nios\nsystem\n.".encode()


def _obj(marker: Path) -> bytes:
    return f"(cos\nsystem\nS'touch {marker}'\no.".encode()


def _chain(marker: Path) -> bytes:
    """getattr(importlib.import_module('os'), 'system')(...), without ever naming os.system."""
    module = b"cimportlib\nimport_module\n" + _text("os") + b"\x85R"
    function = b"cbuiltins\ngetattr\n" + module + _text("system") + b"\x86R"
    return b"\x80\x02" + function + _text(f"touch {marker}") + b"\x85R."


def _set_state(marker: Path) -> bytes:
    """A known class is given a `__setstate__` of the attacker's by BUILD, then a second BUILD calls it."""
    made = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"
    state = b"}" + _text("__setstate__") + b"cos\nsystem\nsb"
    return b"\x80\x02" + made + state + _text(f"touch {marker}") + b"b."


def _numpy_load(marker: Path) -> bytes:
    """What numpy is called is known, its `load` is not: it would open a file beside this one with a pickle inside."""
    inner = marker.parent / "inner.npy"
    np.save(inner, np.array([Reduced(os.system, f"touch {marker}")], object), allow_pickle=True)
    return b"\x80\x02cnumpy\nload\n" + _text(str(inner)) + b"N\x88\x87R."


def _dumped(made: object) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(made, buffer)
    return buffer.getvalue()


ATTACKS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "os.system": (lambda m: _dumped(Reduced(os.system, f"touch {m}")), "it asks for posix.system"),
    "eval": (lambda m: _dumped(Reduced(eval, f"open({str(m)!r}, 'w').close()")), "it asks for builtins.eval"),
    "exec": (lambda m: _dumped(Reduced(exec, f"open({str(m)!r}, 'w').close()")), "it asks for builtins.exec"),
    "subprocess": (lambda m: _dumped(Reduced(subprocess.call, ["touch", str(m)])), "it asks for subprocess.call"),
    "path": (lambda m: _dumped(Reduced(Path.touch, m)), "it asks for"),
    "state setter": (lambda m: _dumped(WithSetter(str(m))), "it asks for"),
    "object array": (lambda m: _dumped(np.array([Reduced(os.system, f"touch {m}")], object)), "it asks for posix.sys"),
    "dotted name": (_dotted, "it asks for joblib.numpy_pickle.os.system"),
    "INST": (_inst, "holds more than data"),
    "OBJ": (_obj, "it asks for os.system"),
    "getattr chain": (_chain, "it asks for builtins.getattr"),
    "__setstate__": (_set_state, "it asks for os.system"),
    "numpy.load": (_numpy_load, "it asks for numpy.load"),
    "compressed": (lambda m: zlib.compress(_dumped(Reduced(os.system, f"touch {m}"))), "it asks for posix.system"),
    "behind a good pipeline": (
        lambda m: _dumped([joblib.load(SAMPLE), Reduced(os.system, f"touch {m}")]),
        "it asks for posix.system",
    ),
    "inside a good pipeline": (
        lambda m: _dumped(_with(lambda p: setattr(p[1], "n_jobs", Reduced(os.system, f"touch {m}")))),
        "it asks for posix.system",
    ),
}


def _with(change: Callable[[Pipeline], object]) -> Pipeline:
    """The sample with a change."""
    made = joblib.load(SAMPLE)
    change(made)
    return made


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_runs_nothing(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make, reason = ATTACKS[name]
    marker, path = tmp_path / "marker", tmp_path / "model.joblib"
    path.write_bytes(make(marker))
    for load in (joblib.load, lambda p: pickle.loads(p.read_bytes())):
        if not marker.exists():
            with contextlib.suppress(Exception):
                load(path)
    assert marker.exists(), "the attack does not work on Python's own unpickler either: the test shows nothing"
    marker.unlink()
    assert reason in refused(path)
    assert not marker.exists()
    assert capfd.readouterr().out == ""


RAW: dict[str, tuple[bytes, str]] = {
    "persistent id": (b"\x80\x02" + _text("x") + b"Q.", "holds more than data"),
    "persistent id as text": (b"Px\n.", "holds more than data"),
    "extension registry": (b"\x80\x02\x82\x01.", "holds more than data"),
    "extension registry, 4 bytes": (b"\x80\x02\x84\x01\x00\x00\x00.", "holds more than data"),
    "out-of-band buffer": (b"\x80\x05\x97.", "holds more than data"),
    "NEWOBJ_EX": (b"\x80\x04csklearn.pipeline\nPipeline\n)}\x92.", "holds more than data"),
    "LONG4": (b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\xff" * 99, "holds more than data"),
    "LONG1": (b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".", "a number of absurd length"),
    "negative LONG4": (b"\x80\x02\x8b\xff\xff\xff\xff.", "holds more than data"),
    "text that claims 4 GB": (b"\x80\x02X\xff\xff\xff\xffabc.", "it is cut off"),
    "bytes that claim 2**64": (b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.", "it is cut off"),
    "class that is called": (b"\x80\x02csklearn.pipeline\nPipeline\n)R.", "it calls something"),
    "object with arguments": (b"\x80\x02csklearn.pipeline\nPipeline\nK\x01\x85\x81.", "it makes an object in a way"),
    "name of no text": (b"\x80\x04K\x01K\x02\x93.", "it names something by what is no text"),
    "state for a list": (b"\x80\x02]}b.", "it gives a state"),
    "deep list": (b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".", "the file is something else, not a Pipeline"),
    "deep tuple": (b"\x80\x02)" + b"\x85" * 3_000_000 + b".", "the file is something else, not a Pipeline"),
    "deep tuple as key": (b"\x80\x02})" + b"\x85" * 3_000_000 + b"Ns.", "keys that are neither"),
    "doubling": (b"\x80\x02]q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b".", "the file is something else"),
    "recursive": (b"\x80\x02]q\x00h\x00a.", "the file is something else"),
    "marks": (b"\x80\x02" + b"(" * 1_000_000 + b".", "it is no joblib file, or damaged"),
    "stack underflow": (b"\x80\x02R.", "it is no joblib file, or damaged"),
    "memo that is not there": (b"\x80\x02h\x07.", "it is no joblib file, or damaged"),
    "before joblib 0.10": (b"\x80\x02cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81.", "joblib before 0.10"),
    "before joblib 0.9": (b"ZF0x" + b" " * 30 + zlib.compress(b"N."), "joblib before 0.10"),
    "lz4": (b"\x04\x22\x4d\x18" + b"\0" * 50, "compressed with lz4"),
    "zip": (b"PK\x03\x04" + b"\0" * 50, "a zip archive"),
    "damaged zlib": (zlib.compress(bytes(9999))[:-1] + b"x", "compressed and damaged"),
    "cut off zlib": (zlib.compress(SAMPLE.read_bytes())[:-2000], "compressed and cut off"),
    "empty": (b"", "it is no joblib file, or damaged (at byte 0 of 0)"),
    "text": (b"hello world, this is a README", "it is no joblib file"),
    "JSON": (b'{"family": "linear"}', "it is no joblib file"),
    "image": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "it is no joblib file"),
    "number": (b"\x80\x02K\x01.", "the file is something else, not a Pipeline"),
    "terminal codes": (b"\x80\x02c\x1b]0;x\x07\n\x1b[2J\n.", r"it asks for \x1b]0;x\x07.\x1b[2J"),
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_broken_or_strange_is_refused(name: str, tmp_path: Path) -> None:
    data, reason = RAW[name]
    path = tmp_path / "model.joblib"
    path.write_bytes(data)
    assert reason in refused(path)


def _array(shape: bytes, code: str = "f8", rest: bytes = b"") -> bytes:
    """A joblib array with a shape of the attacker's (the opcodes that make it)."""
    dtype = b"cnumpy\ndtype\n" + _text(code) + b"\x89\x88\x87R"
    state = _text("shape") + shape + _text("order") + _text("C") + _text("dtype") + dtype
    state += _text("subclass") + b"cnumpy\nndarray\n" + _text("allow_mmap") + b"\x88"
    return b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(" + state + b"ub" + rest + b"."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_array(b"\x8a\x06\0\0\0\0\0\x01\x85"), "it is cut off: at byte"),
        (_array(b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x8a\x08" + b"\xff" * 7 + b"\x7f\x86"), "it is cut off: at byte"),
        (_array(b"J\xff\xff\xff\xff\x85"), "impossible shape"),
        (_array(b"K\x00\x85"), "impossible shape"),
        (_array(b"\x88\x85"), "impossible shape"),
        (_array(b"K\x01K\x01K\x01\x87", rest=b"\0" * 8), "impossible shape"),
        (_array(b"K\x01\x85", "V8", b"\0" * 8), "dtype V8"),
        (_array(b"K\x01\x85", "M8[s]", b"\0" * 8), "dtype M8"),
        (_array(b"K\x01\x85", "U99999999", b"\0" * 8), "dtype U99999999"),
        (_array(b"K\x01\x85", "O8", b"\x80\x02" + _array(b"K\x01\x85")), "it holds an array within an array"),
        (_array(b"K\x01\x85", "O8", b"\x80\x02K\x01."), "an array of objects that is something else"),
    ],
)
def test_arrays_that_lie_are_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(data)
    assert reason in refused(path)


@pytest.mark.parametrize("compress", [zlib.compress, lzma.compress], ids=["zlib", "xz"])
def test_bombs_are_refused(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(compress(b"\x80\x02B\xff\xff\xff\x02" + bytes(60_000_000)))
    assert path.stat().st_size < 100_000
    assert "it unpacks to more than 20,000,000 bytes" in refused(path)
    path.write_bytes(bytes(20_000_001))
    assert "it is larger than 20,000,000 bytes" in refused(path)


def test_memory_and_time_have_an_end(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(b"\x80\x02" + b"]" * 15_000_000)  # an empty list for a byte: 64 times the file
    assert "it asks for more than 400,000,000 bytes of memory" in refused(path)
    path.write_bytes(b"\x80\x02(" + b"}K\x00K\x00s" * 3_000_000 + b"t.")  # three million dicts
    reason = refused(path, quarantine.Limits(20_000_000, 4 << 30, cpu_seconds=1))
    assert "reading it was stopped (exit code -" in reason
    assert "more than 1 s" in reason


# --- other pipelines ------------------------------------------------------------------------------------------

TEXTS = ["wiet te koop", "coke en wiet", "appels", "fiets te koop", "coke", "regen vandaag"]
TRUTH = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 1], [0, 0]])


def _lambda_tokenizer(text: str) -> list[str]:
    return text.split("|")


def _pipeline(vectoriser: object, last: object, truth: object = TRUTH) -> Pipeline:
    return Pipeline([("a", vectoriser), ("b", last)]).fit(TEXTS, truth)


def _outputs() -> MultiOutputClassifier:
    return MultiOutputClassifier(LogisticRegression(solver="liblinear"))


OTHERS: dict[str, tuple[Callable[[], object], str]] = {
    "SVC": (lambda: _pipeline(TfidfVectorizer(), MultiOutputClassifier(SVC())), "it asks for sklearn.svm._classes.SVC"),
    "dummy": (lambda: _pipeline(TfidfVectorizer(), MultiOutputClassifier(DummyClassifier())), "sklearn.dummy.Dummy"),
    "counts": (lambda: _pipeline(CountVectorizer(), _outputs()), "sklearn.feature_extraction.text.CountVectorizer"),
    "hashes": (lambda: _pipeline(HashingVectorizer(), _outputs()), "HashingVectorizer"),
    "one output": (
        lambda: _pipeline(TfidfVectorizer(), LogisticRegression(solver="liblinear"), TRUTH[:, 0]),
        "its second step is LogisticRegression, not a MultiOutputClassifier",
    ),
    "two outputs": (lambda: _pipeline(TfidfVectorizer(), _outputs()), "it has 2 outputs, NOS's model has 10"),
    "no pipeline": (lambda: TfidfVectorizer().fit(TEXTS), "the file is TfidfVectorizer, not a Pipeline"),
    "list": (lambda: [1, 2], "the file is something else, not a Pipeline"),
    "not fitted": (lambda: Pipeline([("a", TfidfVectorizer()), ("b", _outputs())]), "TfidfTransformer"),
    "one step": (lambda: Pipeline([("b", _outputs())]), "does not have two steps"),
    "wrong order": (lambda: Pipeline([("b", _outputs()), ("a", TfidfVectorizer())]), "its first step is MultiOutput"),
    "tokenizer": (
        lambda: _pipeline(TfidfVectorizer(tokenizer=_lambda_tokenizer, token_pattern=None), _outputs()),
        "it asks for tests.test_quarantine._lambda_tokenizer, which is no part of the pipeline",
    ),
    "built-in tokenizer": (
        lambda: _pipeline(TfidfVectorizer(tokenizer=str.split, token_pattern=None), _outputs()),
        "it asks for",
    ),
    "tokenizer by a known name": (
        lambda: _with(lambda p: setattr(p[0], "tokenizer", np.float64)),
        "its vectorizer has a tokenizer of its own: code",
    ),
    "analyzer": (lambda: _with(lambda p: setattr(p[0], "analyzer", np.float64)), "its analyzer is something else"),
    "files": (lambda: _with(lambda p: setattr(p[0], "input", "filename")), "its input is filename; known are content"),
    "evil pattern": (
        lambda: _with(lambda p: setattr(p[0], "token_pattern", r"(a+)+$")),
        "not one of those that are safe",
    ),
    "long pattern": (lambda: _with(lambda p: setattr(p[0], "token_pattern", "a" * 500)), "not one of those that are"),
    "broken pattern": (lambda: _with(lambda p: setattr(p[0], "token_pattern", "[z-a]+")), "is no regular expression"),
    "long n-grams": (lambda: _with(lambda p: setattr(p[0], "ngram_range", (1, 10**9))), "its ngram_range is not"),
    "stop words": (
        lambda: _with(lambda p: setattr(p[0], "stop_words", "dutch")),
        "its stop_words are no list of words",
    ),
    "integers": (lambda: _with(lambda p: setattr(p[0], "dtype", "int64")), "counts in another dtype"),
    "vocabulary gap": (lambda: _with(lambda p: p[0].vocabulary_.popitem()), "vocabulary"),
    "vocabulary twice": (lambda: _with(lambda p: p[0].vocabulary_.update({next(iter(p[0].vocabulary_)): 1})), "column"),
    "vocabulary of numbers": (lambda: _with(lambda p: p[0].vocabulary_.update({1: 0})), "each n-gram a column"),
    "lone surrogate": (lambda: _with(lambda p: _rename(p[0].vocabulary_, "\ud800")), "lone surrogates"),
    "coef_": (
        lambda: _with(lambda p: setattr(p[1].estimators_[3], "coef_", np.zeros((1, 3)))),
        "output 3 has shape (1, 3)",
    ),
    "three classes": (lambda: _with(lambda p: setattr(p[1].estimators_[3], "classes_", np.arange(3))), "output 3 has"),
    "odd classes": (
        lambda: _with(lambda p: setattr(p[1].estimators_[3], "classes_", np.array(["a", "b"]))),
        "['a', 'b']",
    ),
    "idf": (lambda: _with(lambda p: setattr(p[0]._tfidf, "idf_", np.ones(7))), "its idf has shape (7,)"),
    "NaN": (
        lambda: _with(lambda p: p[1].estimators_[0].coef_.fill(np.nan)),
        "its weights hold something that is no num",
    ),
    "NaN bias": (lambda: _with(lambda p: p[1].estimators_[0].intercept_.fill(np.nan)), "is no number"),
    "big-endian": (
        lambda: _with(lambda p: setattr(p[0]._tfidf, "idf_", p[0]._tfidf.idf_.astype(">f8"))),
        "big-endian",
    ),
    "no vocabulary": (lambda: _with(lambda p: delattr(p[0], "vocabulary_")), "it was never fitted"),
    "no estimators": (lambda: _with(lambda p: delattr(p[1], "estimators_")), "it was never fitted"),
}


def _rename(vocabulary: dict[str, int], name: str) -> None:
    vocabulary[name] = vocabulary.pop(next(iter(vocabulary)))


@pytest.mark.parametrize("name", OTHERS)
def test_other_pipelines_are_refused(name: str, tmp_path: Path) -> None:
    make, reason = OTHERS[name]
    path = tmp_path / "model.joblib"
    joblib.dump(make(), path)
    assert reason in refused(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.joblib")


# --- damage anywhere ------------------------------------------------------------------------------------------


def _read(content: bytes) -> None:
    """As the child does; whatever is wrong must be a `ModelError`."""
    with contextlib.suppress(ModelError):
        pipeline.facts(pickled.read(content))


def test_cut_off_anywhere(tmp_path: Path) -> None:
    content = SAMPLE.read_bytes()
    for end in [*range(0, 2000, 7), *range(2000, len(content), 499), len(content) - 1]:
        with pytest.raises(ModelError):
            pipeline.facts(pickled.read(content[:end]))
    path = tmp_path / "model.joblib"
    path.write_bytes(content[:20_000])
    assert "it is cut off" in refused(path)


@settings(max_examples=300, deadline=None)
@given(
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5),
    near_the_start=st.booleans(),
)
def test_damaged_anywhere(places: list[tuple[float, int]], near_the_start: bool) -> None:
    content = bytearray(SAMPLE.read_bytes())
    for place, value in places:
        content[int(place * (1500 if near_the_start else len(content) - 1))] = value
    _read(bytes(content))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(sorted(pickled.OPCODES)).map(lambda code: bytes([code])) | st.binary(max_size=3)))
def test_any_program(parts: list[bytes]) -> None:
    _read(b"\x80\x04" + b"".join(parts) + b".")


# --- the second wall ------------------------------------------------------------------------------------------

_ATTEMPTS = """
import ctypes, importlib, json, os, socket, subprocess, sys
from drugscan.models.quarantine import confine
confine(4 << 30, 60)
def tried(attempt):
    try:
        attempt()
    except BaseException as error:
        return type(error).__name__
    return "done"
marker = sys.argv[1]
attempts = {
    "system": lambda: os.system("touch " + marker),
    "subprocess": lambda: subprocess.run(["touch", marker]),
    "write": lambda: open(marker, "w"),
    "os.open": lambda: os.open(marker, os.O_CREAT | os.O_WRONLY),
    "read": lambda: open("/etc/passwd"),
    "socket": lambda: socket.socket(),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "import": lambda: importlib.import_module("wave"),
    "compile": lambda: compile("1", "x", "eval"),
    "ctypes": lambda: ctypes.CDLL(None),
    "unlink": lambda: os.unlink(marker + "x"),
}
results = {name: tried(attempt) for name, attempt in attempts.items()}
os.write(1, "\\n".join(name + " " + result for name, result in results.items()).encode())
os._exit(0)
"""


def test_a_confined_process_can_do_nothing(tmp_path: Path) -> None:
    """Were there a hole in the reader, this is what code that came through it could do."""
    marker = tmp_path / "marker"
    command = [sys.executable, "-c", _ATTEMPTS, str(marker)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    results = dict(line.split() for line in done.stdout.split("\n"))
    assert len(results) == 12
    assert set(results.values()) == {"PermissionError"}
    assert not marker.exists()


def test_without_the_audit_hook_the_kernel_still_refuses(tmp_path: Path) -> None:
    code = (
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\n"
        "import errno\n"
        "try:\n    os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\n"
        "except OSError as error:\n    os.write(1, errno.errorcode[error.errno].encode())\n"
        "os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "marker")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "EMFILE"
    assert not (tmp_path / "marker").exists()


def test_the_child_holds_no_package_and_gives_no_pickle() -> None:
    """What the parent gets is a safetensors file: a header of JSON and numbers."""
    given = quarantine.run(str(SAMPLE), SMALL)
    size = int.from_bytes(given[:8], "little")
    header = json.loads(given[8 : 8 + size])
    assert set(header) == {"facts", "idf", *(f"weights.{number}" for number in range(10))}
    assert {each["dtype"] for each in header.values()} == {"U8", "F64"}
    code = f"{quarantine._START.replace('quarantine.child', '(lambda *_: print(sorted(sys.modules)))')}"
    here = REPOSITORY / "drugscan"
    command = [sys.executable, "-I", "-S", "-c", code, str(here), str(here / "models"), "1", "1", "1"]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "sklearn", "joblib", "pickle", "site"} & set(ast.literal_eval(modules))
