"""Workers that die, nodes that go, and input that kills whoever touches it."""

import re

from drugscan import storage
from tests.faults.plan import Fault
from tests.faults.trial import Trial, Undisturbed

FOR_EVER = 1000


def test_a_worker_killed_while_it_scores(trial: Trial) -> None:
    trial.plan(Fault("shard", after=6))
    run = trial.scan()
    assert (run.code, trial.book.happened()) == (0, 1), run.err
    row = trial.settle("worker killed while it scores", "SIGKILL to it in its 7th shard")
    assert 1 <= row.shards_again <= 2


def test_a_worker_killed_between_a_score_file_and_its_report(trial: Trial) -> None:
    trial.plan(Fault("written", r"/scores/", after=6))
    run = trial.scan()
    assert (run.code, trial.book.happened()) == (0, 1), run.err
    row = trial.settle("worker killed before it reports a score file", "SIGKILL to it when the 7th file stood")
    assert row.shards_again <= 1
    assert row.ranges_again == 0


def test_a_worker_killed_between_side_files_and_messages(trial: Trial) -> None:
    """The keys of the range stand, its messages do not: nothing may take those keys for data."""
    trial.plan(Fault("write", r"/messages/", after=10))
    run = trial.scan()
    assert (run.code, trial.book.happened()) == (0, 1), run.err
    row = trial.settle("worker killed between side files and messages of a range", "SIGKILL when its keys stood")
    assert row.ranges_again == 1


def test_all_workers_killed_again_and_again(trial: Trial) -> None:
    """Apart, so that no range dies three times: then it would rightly be given up."""
    moments = (3, 10, 17, 24)
    trial.plan(*(Fault("range", after=after) for after in moments), *(Fault("shard", after=after) for after in moments))
    run = trial.scan()
    assert (run.code, sum(map(trial.book.happened, range(8)))) == (0, 8), run.err
    row = trial.settle("four workers killed in ingest, four in score", "SIGKILL to one after the other")
    assert row.ranges_again <= 4
    assert row.shards_again <= 8


def test_a_range_that_kills_its_worker_each_time(trial: Trial) -> None:
    trial.plan(Fault("range", r"/chat-10-1/.*:131072$", times=FOR_EVER))
    run = trial.scan()
    assert (run.code, trial.book.happened()) == (1, 3), run.err
    (failure,) = trial.failures()
    assert re.search(r"chat-10-1/result.json: bytes 131072 to 262144 were not read: the worker died on them", failure)
    assert failure in run.err
    assert "Traceback" not in run.err
    lost, doubled = trial.lost_and_doubled()
    assert 0 < lost < 500
    assert doubled == 0
    trial.plan()
    run = trial.scan()
    assert run.code == 0, run.err
    others = len(storage.list_files(storage.join(trial.url, "messages"))) - 1
    assert f"in 1 new ranges; {others} ranges were read before" in run.err
    trial.settle(
        "a range that kills its worker each time", "three tries, named, exit 1; read by the next run without it"
    )


def test_shards_that_kill_their_worker_each_time(trial: Trial, undisturbed: Undisturbed) -> None:
    poison = undisturbed.shards[5::20]
    trial.plan(Fault("shard", "|".join(poison), times=FOR_EVER))
    run = trial.scan()
    assert run.code == 1, run.err
    buckets = {re.search(r"of bucket (\d+): the worker died", failure)[1] for failure in trial.failures()}  # type: ignore[index]
    assert len(buckets) == len(trial.failures())
    assert len(buckets) <= len(poison)
    assert trial.book.happened() <= 3 * len(poison)
    trial.plan()
    run = trial.scan()
    assert run.code == 0, run.err
    trial.settle(
        f"{len(poison)} shards that kill their worker each time", "three tries, named, exit 1; scored by the next run"
    )


def test_a_shard_that_kills_the_only_worker(trial: Trial, undisturbed: Undisturbed) -> None:
    trial.plan(Fault("shard", "|".join(undisturbed.shards[5::20]), times=FOR_EVER))
    assert trial.scan(workers=1).code == 1
    trial.plan()
    assert trial.scan(workers=1).code == 0
    trial.settle("the same with one worker", "as above")
