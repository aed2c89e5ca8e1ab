"""Object storage as it is: a real server, and a proxy before it that fails in every way a server can."""

import errno
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drugscan import corpus, inputs, remote, storage
from tests.conftest import Reach
from tests.object_store import Fault, FaultProxy, ObjectStore

StorageError = storage.StorageError
LARGE = bytes(range(256)) * 80_000
"""20 MB: more than is read ahead at once."""


@pytest.fixture
def one_attempt(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails for good shall not take a minute."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    remote.forget_clients()


def test_what_is_written_is_read_and_listed_at_once(bucket: str, object_store: ObjectStore) -> None:
    url = f"{bucket}/a/b.bin"
    assert not storage.exists(url)
    assert storage.list_files(f"{bucket}/a") == []
    storage.write_bytes(url, b"one")
    assert storage.exists(url)
    storage.write_bytes(url, b"two")
    storage.write_bytes(f"{bucket}/a/{storage.TEMPORARY}x", b"half")
    storage.write_bytes(f"{bucket}/ab", b"no file of a")
    assert storage.list_files(f"{bucket}/a") == [url]
    assert (storage.read_bytes(url), storage.read_bytes(url, 1, 2), storage.read_bytes(url, 0, 1)) == (
        b"two",
        b"w",
        b"t",
    )
    assert (storage.size(url), storage.is_folder(f"{bucket}/a"), storage.is_folder(url)) == (3, True, False)
    with object_store.client() as client:  # somebody else, behind this process's back
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key="a/c.bin", Body=b"new")
    assert storage.list_files(f"{bucket}/a") == [url, f"{bucket}/a/c.bin"]
    assert storage.glob(f"{bucket}/a/?.bin") == [url, f"{bucket}/a/c.bin"]
    storage.delete(url)
    storage.delete(url)
    assert not storage.exists(url)
    assert storage.list_files(f"{bucket}/a") == [f"{bucket}/a/c.bin"]


def test_a_folder_mark_of_a_console_is_no_file(bucket: str, object_store: ObjectStore) -> None:
    with object_store.client() as client:
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key="exports/", Body=b"")
    storage.write_bytes(f"{bucket}/exports/r.json", b"{}")
    assert storage.list_files(f"{bucket}/exports") == [f"{bucket}/exports/r.json"]
    assert inputs.find_sources([f"{bucket}/exports", f"{bucket}/none"]) == (
        [f"{bucket}/exports/r.json"],
        [f"{bucket}/none"],
    )


def test_a_listing_longer_than_a_page(bucket: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: storage.write_bytes(f"{bucket}/many/{n:04}", b"x"), range(1_050)))
    assert storage.list_files(f"{bucket}/many") == [f"{bucket}/many/{n:04}" for n in range(1_050)]


def test_create_has_one_winner_of_sixteen(bucket: str) -> None:
    url, won = f"{bucket}/corpus.json", []
    together = threading.Barrier(16)

    def race(number: int) -> None:
        together.wait()
        if storage.create(url, str(number).encode()):
            won.append(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(race, range(16)))
    assert len(won) == 1
    assert storage.read_bytes(url) == str(won[0]).encode()
    assert not storage.create(url, b"late")


def test_large_bodies_are_whole_or_not_there(bucket: str, proxy: FaultProxy, object_store: ObjectStore) -> None:
    """More than 100 MB go up in parts; the last request makes them a file."""
    url, large = f"{bucket}/large.bin", b"0123456789abcdef" * (7 * 1024 * 1024)
    proxy.add(Fault("PUT .*partNumber=2", times=1, status=500))
    proxy.add(Fault("PUT .*partNumber=1", times=1, cut_after=-1))
    storage.write_bytes(url, large)
    assert any("partNumber=3" in request for request in proxy.requests)
    assert storage.size(url) == len(large)
    assert storage.read_bytes(url, len(large) - 20) == large[-20:]
    assert storage.read_bytes(url) == large
    proxy.add(Fault("PUT .*partNumber=2", times=-1, status=403, code="AccessDenied"))
    with pytest.raises(StorageError, match="access denied"):
        storage.write_bytes(f"{bucket}/refused.bin", large)
    assert not storage.exists(f"{bucket}/refused.bin")
    assert object_store.uploads(bucket.removeprefix("s3://")) == []


def test_identity_follows_the_content(bucket: str) -> None:
    url = f"{bucket}/x"
    storage.write_bytes(url, b"one")
    before = storage.identity(url)
    assert storage.identity(url) == before
    storage.write_bytes(url, b"two")
    assert storage.identity(url) != before


def test_an_open_file_reads_what_it_is_asked_for(bucket: str, proxy: FaultProxy) -> None:
    """In order: a few large requests. Parquet: the footer and what is wanted, not the rest."""
    url = f"{bucket}/large.bin"
    storage.write_bytes(url, LARGE)
    proxy.requests.clear()
    with storage.open_binary(url) as file:
        assert b"".join(iter(lambda: file.read(100_000), b"")) == LARGE
        assert file.read(10) == b""
        file.seek(-3, os.SEEK_END)
        assert (file.tell(), file.read()) == (len(LARGE) - 3, LARGE[-3:])
        file.seek(1_000_000)
        assert file.read(5) == LARGE[1_000_000:1_000_005]
    assert sum(request.startswith("GET") for request in proxy.requests) < 15
    numbers = pa.table({name: list(range(200_000)) for name in "abc"})
    sink = pa.BufferOutputStream()
    pq.write_table(numbers, sink, row_group_size=20_000, compression="none", use_dictionary=False)
    storage.write_bytes(f"{bucket}/n.parquet", sink.getvalue().to_pybytes())
    assert corpus.read_table(f"{bucket}/n.parquet", ["b"]).equals(numbers.select(["b"]))
    with storage.open_binary(f"{bucket}/n.parquet") as file:
        group = pq.ParquetFile(file).read_row_group(7, columns=["a"])
    assert group["a"].to_pylist() == list(range(140_000, 160_000))


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(bucket: str) -> None:
    url = f"{bucket}/x"
    storage.write_bytes(url, LARGE)
    with storage.open_binary(url) as file:
        file.read(10)
        storage.write_bytes(url, LARGE[::-1])
        with pytest.raises(StorageError, match="/x: the file was changed while it was read; run the same command"):
            file.read()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("", times=1, status=503, code="SlowDown"),
        Fault("", times=1, status=500, code="InternalError"),
        Fault("", times=1, cut_after=-1),
        Fault("GET", times=2, cut_after=1_000_000),
        Fault("", times=1, delay_seconds=0.1),
    ],
    ids=["overloaded", "failing", "no answer", "half an answer", "slow"],
)
def test_what_passes_is_waited_for(fault: Fault, bucket: str, proxy: FaultProxy) -> None:
    url = f"{bucket}/large.bin"
    storage.write_bytes(url, LARGE)
    for act in _uses(url):
        once = proxy.add(Fault(**{**vars(fault), "seen": 0}))
        act()
        assert (once.seen == once.times) or once.match == "GET"
        once.times = 0


def _uses(url: str) -> list[Callable[[], None]]:
    """Every way to use a store, each checking what comes back."""

    def read_open() -> None:
        with storage.open_binary(url) as file:
            assert file.read() == LARGE

    def check(fine: bool) -> None:
        assert fine

    return [
        lambda: storage.write_bytes(url, LARGE),
        lambda: check(storage.read_bytes(url) == LARGE),
        lambda: check(storage.read_bytes(url, 5, 2_000_005) == LARGE[5:2_000_005]),
        read_open,
        lambda: check(storage.list_files(url.rsplit("/", 1)[0])[-1] == url),
        lambda: check(storage.exists(url)),
        lambda: check(storage.size(url) == len(LARGE)),
        lambda: check(not storage.create(url, b"late")),
    ]


def test_a_server_that_is_away_for_a_while(tmp_path: Path, reach: Reach) -> None:
    """Killed and started again after some seconds: whoever waits for it gets what he wanted."""
    store = ObjectStore(tmp_path / "own")
    store.start()
    try:
        reach(store.environment())
        url = store.make_bucket("own") + "/x"
        storage.write_bytes(url, b"1")
        store.kill()
        again = threading.Timer(4, store.start)
        again.start()
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(storage.read_bytes, [url] * 8)) == [b"1"] * 8
        storage.write_bytes(url, b"2")
        assert time.monotonic() - started > 3.5
        again.join()
    finally:
        store.kill()


def _error(url: str, act: Callable[[str], object] = storage.exists) -> str:
    with pytest.raises(StorageError) as caught:
        act(url)
    said = str(caught.value)
    assert said.startswith(f"{url}: ")
    assert "\n" not in said
    return said


ACTS: list[Callable[[str], object]] = [
    storage.exists,
    storage.size,
    storage.read_bytes,
    storage.open_binary,
    storage.list_files,
    storage.is_folder,
    storage.identity,
    lambda url: storage.write_bytes(url, b"x"),
    lambda url: storage.create(url, b"x"),
]


@pytest.mark.usefixtures("bucket")
def test_a_missing_bucket_is_named_with_what_to_do() -> None:
    for act in ACTS:
        assert "there is no such bucket; check the name, or make it" in _error("s3://no-such-bucket-here/a/b", act)
    assert "there is no such bucket" in _error("s3://no-such-bucket-here")


def test_a_missing_file_is_named(bucket: str) -> None:
    for act in (storage.size, storage.read_bytes, storage.open_binary, storage.identity):
        assert _error(f"{bucket}/none.json", act).endswith("none.json: not found")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "the secret does not fit the access key; check AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "the store does not know this access key; check AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "no credentials; set AWS_ACCESS_KEY_ID"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "half of the credentials; set both"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE names a profile that is not in"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "nothing answers there; check AWS_ENDPOINT_URL and the network"),
    ],
)
@pytest.mark.usefixtures("one_attempt")
def test_settings_that_are_wrong_are_named(
    variables: dict[str, str | None],
    said: str,
    bucket: str,
    object_store: ObjectStore,
    reach: Reach,
    tmp_path: Path,
) -> None:
    given = {**object_store.environment(), "AWS_MAX_ATTEMPTS": "1", **variables}
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        given[name] = str(tmp_path / "none")
    reach({name: value for name, value in given.items() if value is not None})
    for act in ACTS:
        assert said in _error(f"{bucket}/x", act)


REFUSALS = [
    (Fault("", status=403, code="AccessDenied"), "access denied; ask the owner of the bucket for permission"),
    (Fault("", status=400, code="ExpiredToken"), "the credentials have expired; log in again"),
    (Fault("", status=403, code="RequestTimeTooSkewed"), "the clock of this machine is wrong"),
    (
        Fault("", status=301, code="PermanentRedirect", headers={"x-amz-bucket-region": "eu-central-1"}),
        "the bucket is in another region; set AWS_DEFAULT_REGION=eu-central-1",
    ),
    (Fault("", status=503, code="SlowDown"), "the store failed again and again"),
    (Fault("", status=500, code="InternalError"), "; run the same command again later: what is done stays done"),
    (Fault("", status=507, code="InsufficientStorage"), "the store is full; free some space"),
    (Fault("", cut_after=-1), "the connection broke again and again"),
]


@pytest.mark.parametrize(("fault", "said"), REFUSALS, ids=[fault.code or "cut" for fault, _ in REFUSALS])
@pytest.mark.usefixtures("one_attempt")
def test_refusals_are_told_in_words_that_say_what_to_do(
    fault: Fault, said: str, bucket: str, proxy: FaultProxy
) -> None:
    proxy.add(Fault(**{**vars(fault), "times": -1}))
    for act in ACTS:
        told = _error(f"{bucket}/x", act)
        if fault.status != 507 or act not in ACTS[:4]:  # an answer to HEAD has no words
            assert said in told


@pytest.mark.usefixtures("one_attempt")
def test_what_breaks_while_it_is_read_is_named_too(bucket: str, proxy: FaultProxy) -> None:
    url = f"{bucket}/large.bin"
    storage.write_bytes(url, LARGE)
    with storage.open_binary(url) as file:
        file.read(10)
        proxy.add(Fault("GET", times=-1, status=403, code="AccessDenied"))
        with pytest.raises(StorageError, match=r"large.bin: access denied"):
            file.read()


def test_other_kinds_of_addresses() -> None:
    assert "a package is missing for this kind of address: Please install gcsfs" in _error("gs://bucket/x")
    assert "Install adlfs" in _error("abfs://bucket/x")
    assert "no such kind of address; use a path, s3://" in _error("nonsense://bucket/x")


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for act in ACTS[-2:]:
        assert "the disk is full; free some space" in _error(str(tmp_path / "x"), act)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_nobody_may_write_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "makedirs", refuse)
    assert _error(str(tmp_path / "x"), ACTS[-1]).endswith("x: access denied; check the permissions")
