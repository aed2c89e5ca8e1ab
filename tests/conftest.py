import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from drugscan import aggregate, corpus, demo, inputs, listings, models, remote, stages, storage
from drugscan.columns import pseudonym
from drugscan.ingest import Destination
from drugscan.progress import Silent
from drugscan.settings import Settings
from tests.fake_model import FakeModel
from tests.object_store import FaultProxy, ObjectStore

if TYPE_CHECKING:
    from tests import varied

KEY = b"k" * 32
Reach = Callable[[dict[str, str]], None]


@dataclass(frozen=True)
class Demo:
    """A small demo and what is true of it."""

    exports: str
    summary: demo.DemoSummary
    texts: pl.DataFrame
    messages: pl.DataFrame

    def oracle(self) -> FakeModel:
        rows = self.texts.filter("drugsad").select("text", "labels").iter_rows()
        return FakeModel({text: ["drugsad", *labels] for text, labels in rows}, "oracle")


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    summary = demo.generate(demo.DemoOptions(12_000, str(folder), seed=3))
    truth = folder / "truth"
    texts, messages = pl.read_parquet(truth / "texts.parquet"), pl.read_parquet(truth / "messages.parquet")
    return Demo(str(folder / "exports"), summary, texts, messages)


@pytest.fixture
def one_model(monkeypatch: pytest.MonkeyPatch) -> list[FakeModel]:
    """Put a model into the list, and every stage in this process uses it."""
    chosen: list[FakeModel] = []
    monkeypatch.setattr(models, "load", lambda name="default": chosen[-1])
    return chosen


def ingest(
    given: list[str], url: str, runner: stages.Runner | None = None, settings: Settings | None = None
) -> stages.Outcome:
    settings = settings or Settings()
    sources, _ = inputs.find_sources(given)
    info = stages.open_or_make(url, settings, "check", sources)
    to = Destination(url, info.buckets, KEY, settings)
    return stages.run_ingest(given, to, runner or stages.InProcess(), Silent())


def score(
    url: str, runner: stages.Runner | None = None, shard_texts: int = 20_000, choice: models.Choice | None = None
) -> stages.Outcome:
    return stages.run_score(url, choice or models.Choice(), shard_texts, runner or stages.InProcess(), Silent())


def tables(
    url: str, model: FakeModel | None = None, runner: stages.Runner | None = None, **chosen: object
) -> stages.Tables:
    model = model or models.load()  # type: ignore[assignment]
    selection = listings.Selection(dict(model.thresholds), **chosen)  # type: ignore[arg-type, union-attr]
    into = storage.join(url, "tables", "test")
    work = aggregate.Work(corpus.snapshot(url), model.model_id, selection, into)  # type: ignore[union-attr]
    return stages.run_stats(work, runner or stages.InProcess(), Silent())


def own_ads(demo: Demo) -> pl.DataFrame:
    """Ads of the truth with their seller's pseudonym (null for forwards and anonymous admins), on local time."""
    ads = demo.messages.join(demo.texts.filter("drugsad").drop("text"), on="text_id")
    own = ~pl.col("is_forward") & (pl.col("sender_kind") != "anonymous")
    names = {sender: pseudonym(sender, KEY) for sender in ads["sender"].unique()}
    seller = pl.when(own).then(pl.col("sender").replace_strict(names))
    local = pl.col("sent_at").dt.convert_time_zone("Europe/Amsterdam").dt.replace_time_zone(None)
    return ads.with_columns(seller=seller, local=local)


def messages(url: str) -> pl.DataFrame:
    """All rows of all message files of a corpus."""
    found = corpus.snapshot(url)
    return pl.concat([pl.DataFrame(corpus.read_table(file.url)) for file in found.messages])


def equal(one: stages.Tables, other: stages.Tables) -> bool:
    return one.ledger == other.ledger and all(one.tables[name].equals(other.tables[name]) for name in one.tables)


@pytest.fixture
def scanned(tmp_path: Path, small_demo: Demo, one_model: list[FakeModel]) -> str:
    one_model.append(small_demo.oracle())
    url = str(tmp_path / "corpus")
    assert ingest([small_demo.exports], url).failures == []
    assert score(url).failures == []
    return url


@pytest.fixture(autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's own key; commands in other processes use the key of the tests, too."""
    monkeypatch.setenv("DRUGSCAN_KEY_FILE", str(write_key(tmp_path_factory.getbasetemp())))


def write_key(folder: Path) -> Path:
    """The key of the tests as a file."""
    file = folder / "pseudonym.key"
    file.write_text(KEY.hex())
    return file


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store for all tests that do not break it; the others make one of their own."""
    store = ObjectStore(tmp_path_factory.mktemp("store") / "data")
    store.start()
    yield store
    store.kill()


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reach]:
    """Point this process, and all that it starts, to an object store."""

    def at(environment: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        remote.forget_clients()

    yield at
    remote.forget_clients()


@pytest.fixture
def bucket(object_store: ObjectStore, reach: Reach) -> str:
    """A new bucket in the object store, as `s3://` address; this process and all that it starts can reach it."""
    reach(object_store.environment())
    return object_store.make_bucket(f"test-{secrets.token_hex(4)}")


@pytest.fixture
def proxy(object_store: ObjectStore, bucket: str, reach: Reach) -> Iterator[FaultProxy]:
    """A proxy before the object store through which `bucket` is reached; add faults to it."""
    with FaultProxy(object_store) as proxy:
        reach(object_store.environment(proxy.endpoint))
        yield proxy


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> "varied.Exports":
    """Small exports of several formats, and the tables of a scan of them on disk."""
    from tests import varied

    return varied.make(tmp_path_factory.mktemp("varied"))


REPOSITORY = Path(__file__).parent.parent
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
