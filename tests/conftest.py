import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from drugscan import aggregate, corpus, demo, inputs, listings, models, stages, storage
from drugscan.ingest import Destination
from drugscan.progress import Silent
from drugscan.settings import Settings
from tests.fake_model import FakeModel

KEY = b"k" * 32


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


def messages(url: str) -> pl.DataFrame:
    """All rows of all message files of a corpus."""
    found = corpus.snapshot(url)
    return pl.concat([pl.DataFrame(corpus.read_table(file.url)) for file in found.messages])


def equal(one: stages.Tables, other: stages.Tables) -> bool:
    return one.ledger == other.ledger and all(one.tables[name].equals(other.tables[name]) for name in one.tables)


@pytest.fixture(autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's own key; commands in other processes use the key of the tests, too."""
    file = tmp_path_factory.getbasetemp() / "pseudonym.key"
    file.write_text(KEY.hex())
    monkeypatch.setenv("DRUGSCAN_KEY_FILE", str(file))


REPOSITORY = Path(__file__).parent.parent
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
