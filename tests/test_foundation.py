"""Text, schema, storage, keys and corpus."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drugscan import corpus, keys, schema, storage
from drugscan.text import canonical, text_id


def test_canonical_unifies_only_what_cannot_be_seen() -> None:
    assert canonical("a\r\nb\rc  \n\u2028d\x00\x07  ") == "a\nb\nc\n\nd"
    assert canonical("e\u0301") == "é"
    assert canonical("Haze  €10\u200b @plug") == "Haze  €10\u200b @plug"
    assert canonical(" \n\t ") == ""
    assert canonical("half \ud83d pair") == "half  pair"


@given(st.text())
def test_canonical_twice_is_canonical_once(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once
    once.encode()


def test_text_id_is_stable() -> None:
    assert text_id("3mmc 10g").hex() == "605f00456a9222b9495cd6dae3ec59fb"
    assert len(text_id("")) == 16
    assert text_id("a") != text_id("A")


def test_check_names_what_does_not_fit() -> None:
    table = pa.table({"source": ["x"], "source_offset": [1], "stage": ["ingest"], "reason": ["r"], "detail": [None]})
    with pytest.raises(ValueError, match="detail"):
        schema.check(table, schema.REJECTS)
    with pytest.raises(ValueError, match="source_offset"):
        schema.check(table.drop(["source_offset"]), schema.REJECTS)


def test_write_is_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b.bin")
    storage.write_bytes(path, b"one")
    storage.write_bytes(path, b"two")
    (tmp_path / "a" / f"{storage.TEMPORARY}x").write_bytes(b"half")
    assert storage.read_bytes(path) == b"two"
    assert storage.list_files(str(tmp_path)) == [path]
    assert storage.read_bytes(path, 1, 2) == b"w"
    assert storage.read_bytes(path, 0, 1) == b"t"


def test_create_has_one_winner(tmp_path: Path) -> None:
    path, won = str(tmp_path / "c.json"), []
    threads = [
        threading.Thread(target=lambda i=i: won.append(i) if storage.create(path, str(i).encode()) else None)
        for i in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert storage.read_bytes(path) == str(won[0]).encode()
    assert len(list(tmp_path.iterdir())) == 1


def test_identity_follows_the_content(tmp_path: Path) -> None:
    one, other = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"x")
    other.write_bytes(b"x")
    assert storage.identity(str(one)) == storage.identity(str(other))
    other.write_bytes(b"y")
    assert storage.identity(str(one)) != storage.identity(str(other))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(storage.StorageError, match="nothing.json: not found"):
        storage.read_bytes(str(tmp_path / "nothing.json"))


def test_key_is_made_once_and_kept_to_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUGSCAN_KEY_FILE", str(tmp_path / "sub" / "key"))
    key = keys.load_or_make(None)
    assert key == keys.load_or_make(None)
    assert len(key) == 32
    assert (tmp_path / "sub" / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "bad").write_text("zz")
    with pytest.raises(keys.KeyFileError, match="does not hold a key"):
        keys.load_or_make(str(tmp_path / "bad"))
    with pytest.raises(keys.KeyFileError, match="no such key file"):
        keys.load_or_make(str(tmp_path / "none"))
    with pytest.raises(keys.KeyFileError, match="lies inside the corpus"):
        keys.check_outside(str(tmp_path / "c" / "key"), str(tmp_path / "c"))
    keys.check_outside(str(tmp_path / "c.key"), str(tmp_path / "c"))


def test_buckets_are_a_power_of_two_of_four_million_messages() -> None:
    assert [corpus.bucket_count(n) for n in (0, 64_000_000, 64_000_001, 10**9)] == [16, 16, 32, 256]


def test_opening_what_is_no_corpus_says_so(tmp_path: Path) -> None:
    with pytest.raises(corpus.CorpusError, match=r"no corpus.json"):
        corpus.open_corpus(str(tmp_path))
