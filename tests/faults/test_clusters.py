"""Nodes that go while they work, in a cluster of several raylets on this machine."""

from collections.abc import Iterator
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from tests.faults.trial import Trial


@pytest.fixture
def three_nodes(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and two nodes of one CPU each; their workers know the plan of the trial."""
    for name, value in trial.whole_environment().items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_node_removed_in_ingest_and_another_in_score(trial: Trial, three_nodes: Any) -> None:  # noqa: ANN401
    nodes = [three_nodes.add_node(num_cpus=1) for _ in range(2)]
    three_nodes.wait_for_nodes()
    run = trial.start_scan("--address", three_nodes.address, workers=3)
    for at, node in zip(("range", "shard"), nodes, strict=True):
        assert run.until(lambda at=at: len(trial.book.events(at)) >= 8), run.err  # type: ignore[misc]
        three_nodes.remove_node(node, allow_graceful=False)
    run.end()
    assert run.code == 0, run.err
    row = trial.settle("two of three nodes removed", "raylet killed in ingest, another in score; head goes on")
    assert row.ranges_again <= 2
    assert row.shards_again <= 4
