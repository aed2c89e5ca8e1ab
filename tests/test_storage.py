"""Object storage as it is: a real server, and a proxy before it that fails in every way a server can."""

from pathlib import Path

from drugscan import storage
from tests.conftest import Reach
from tests.object_store import Fault, FaultProxy, ObjectStore


def test_what_is_written_is_read(bucket: str, object_store: ObjectStore) -> None:
    url = f"{bucket}/a/b.bin"
    storage.write_bytes(url, b"one")
    storage.write_bytes(url, b"two")
    assert storage.read_bytes(url) == b"two"
    assert storage.list_files(bucket) == [url]
    assert storage.read_bytes(url, 1, 2) == b"w"
    assert object_store.uploads(bucket.removeprefix("s3://")) == []


def test_proxy_passes_on_and_fails_when_told(bucket: str, proxy: FaultProxy) -> None:
    proxy.add(Fault("PUT .*b.bin", status=503, code="SlowDown", times=2))
    storage.write_bytes(f"{bucket}/b.bin", b"one")
    assert storage.read_bytes(f"{bucket}/b.bin") == b"one"


def test_store_survives_a_kill(tmp_path: Path, reach: Reach) -> None:
    store = ObjectStore(tmp_path / "own")
    store.start()
    try:
        reach(store.environment())
        url = store.make_bucket("own") + "/x"
        storage.write_bytes(url, b"1")
        store.kill()
        store.start()
        assert storage.read_bytes(url) == b"1"
    finally:
        store.kill()
