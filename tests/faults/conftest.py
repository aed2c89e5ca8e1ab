import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import conftest
from tests.faults import table
from tests.faults.trial import Row, Trial, Undisturbed, results


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is one of faults."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def rows() -> Iterator[list[Row]]:
    """What the tests found; written into the document that DRUGSCAN_FAULTS_TABLE names."""
    found: list[Row] = []
    yield found
    if document := os.environ.get("DRUGSCAN_FAULTS_TABLE"):
        table.write(Path(document), found)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, small_demo: conftest.Demo) -> Undisturbed:
    """The same command over the same input with nothing in its way."""
    trial = Trial(small_demo, tmp_path_factory.mktemp("undisturbed"))
    trial.environment["DRUGSCAN_KEY_FILE"] = str(conftest.write_key(trial.folder))
    run = trial.scan()
    assert run.code == 0, run.err
    assert trial.lost_and_doubled() == (0, 0)
    return Undisturbed(results(trial.url), run.seconds, trial.book.events("shard"))


@pytest.fixture
def trial(tmp_path: Path, small_demo: conftest.Demo, undisturbed: Undisturbed, rows: list[Row]) -> Trial:
    return Trial(small_demo, tmp_path, undisturbed, rows)
