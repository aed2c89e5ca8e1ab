"""The command line as a user meets it: help, exit codes, errors in one line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drugscan.cli import main
from tests import conftest
from tests.test_ingest import desktop, message


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_every_command_has_help() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    for command in ("scan", "ingest", "score", "stats", "report", "status", "compact", "train", "evaluate", "demo"):
        assert f"  {command} " in shown.output
        said = run(command, "--help")
        assert said.exit_code == 0
        assert len(said.output.splitlines()[2].strip()) > 20


def test_scan_twice_then_more(tmp_path: Path) -> None:
    ad = "❄️ MENU ❄️ coke 1g €50, xtc 5st 15, bezorging Utrecht, dm @demo_plug"
    one = desktop(tmp_path / "a" / "result.json", [message(1, ad), message(2, "hallo")])
    url = str(tmp_path / "corpus")
    first = run("scan", one, "--corpus", url, "--local", "--quiet", "--json")
    assert first.exit_code == 0, first.output
    result = json.loads(first.stdout.splitlines()[-1])
    assert result["ledger"]["listings"] == 1
    assert Path(result["report"]).exists()
    again = run("scan", one, "--corpus", url, "--local", "--quiet")
    assert "nothing new to read" in again.stderr
    assert "every text was scored before" in again.stderr
    assert "the tables stand" in again.stderr
    assert str(result["tables"]) in again.stdout
    desktop(tmp_path / "b" / "result.json", [message(3, "nieuw bericht")])
    more = run("scan", str(tmp_path), "--corpus", url, "--local", "--quiet")
    assert "read: 1 messages in 1 new ranges; 1 ranges were read before" in more.stderr
    assert "scored: 1 texts" in more.stderr
    shown = run("status", url, "--json")
    assert json.loads(shown.stdout) | {"files": 0, "report": 0} == {
        "ranges": 2, "sources": 2, "kept": 3, "rejects": 0, "texts": 3, "scored": 3, "pending": 0,
        "model": json.loads(shown.stdout)["model"], "files": 0, "report": 0,
    }  # fmt: skip
    assert run("compact", url, "--quiet").exit_code == 0
    page = run("report", "--corpus", url, "--output", str(tmp_path / "page.html"))
    assert page.stdout.strip() == str(tmp_path / "page.html")


def test_what_failed_is_said_and_the_exit_code_is_1(tmp_path: Path) -> None:
    good = desktop(tmp_path / "result.json", [message(1, "hallo")])
    (tmp_path / "bad.json").write_text("{}")
    done = run(
        "scan", good, str(tmp_path / "bad.json"), "none.json", "--corpus", str(tmp_path / "c"), "--local", "--quiet"
    )
    assert done.exit_code == 1
    assert "2 failed, everything else is done" in done.stderr
    assert "bad.json is of no known format" in done.stderr
    assert "none.json: no such file" in done.stderr
    assert "messages                             1" in done.stdout
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", ["scan", "ingest"])
def test_a_mistyped_name_starts_and_makes_nothing(command: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    names = (str(tmp_path / "reslut.json"), str(tmp_path / "empty"))
    done = run(command, *names, "--corpus", str(tmp_path / "c"))
    assert done.exit_code == 1
    assert "nothing to read" in done.stderr
    assert "reslut.json: no such file" in done.stderr
    assert "empty: no file in it ends in .json" in done.stderr
    assert "Ray" not in done.stderr
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("status", "nowhere"), "is no corpus", 1),
        (("score", "--corpus", "nowhere", "--local"), "is no corpus", 1),
        (("stats", "--corpus", "nowhere"), "is no corpus", 1),
        (("report", "--corpus", "nowhere"), "no tables yet", 1),
        (("evaluate", "nowhere.jsonl"), "nowhere.jsonl: not found", 1),
        (("scan",), "Missing argument", 2),
        (("scan", "x", "--corpus", "c", "--columns", "text"), "--columns wants", 2),
        (("stats", "--corpus", "c", "--since", "yesterday"), "does not match the format", 2),
    ],
)
def test_errors_are_one_clear_line(
    arguments: tuple[str, ...], said: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, *(["--local"] if arguments[:2] == ("scan", "x") else []))
    assert (done.exit_code, said in done.stderr) == (code, True), done.output
    assert "Traceback" not in done.output


def test_evaluate_ends_with_one_json_line() -> None:
    file = str(conftest.REPOSITORY / "data" / "authored" / "authored-ads.jsonl")
    done = run("evaluate", file, "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) >= {"detector", "categoriser", "n", "model_id", "intervals"}
    assert set(result["detector"]) == {"accuracy", "precision", "recall", "f1"}
    assert set(result["categoriser"]) == {"label_accuracy", "hamming_loss", "macro_f1", "per_label"}
    assert result["n"] == 400


def test_one_chat_and_one_period(tmp_path: Path) -> None:
    ad = "wiet 10 gram 80 euro, bezorging Zwolle"
    path = desktop(tmp_path / "r.json", [message(1, ad, 1_600_000_000), message(2, ad, 1_700_000_000)])
    done = run("scan", path, "--corpus", str(tmp_path / "c"), "--local", "--quiet", "--json", "--since", "2023-01-01")
    ledger = json.loads(done.stdout.splitlines()[-1])["ledger"]
    assert (ledger["current"], ledger["outside"], ledger["listings"]) == (2, 1, 1)


def test_a_time_zone_that_is_none_is_named_before_anything_is_made(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["scan", "x.json", "--corpus", str(tmp_path / "c"), "--timezone", "Amsterdam"])
    assert done.exit_code == 2
    assert "no zone 'Amsterdam'; for example Europe/Amsterdam" in done.output
    assert "starting" not in done.output
    assert not (tmp_path / "c").exists()
