"""An audit from draw to corrected figures: the demo's truth labels the drawn texts, the model errs as planted."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from drugscan import (
    aggregate,
    audit,
    audit_frame,
    audit_sheet,
    cli,
    corpus,
    listings,
    publish,
    show_audit,
    stages,
    storage,
)
from drugscan.progress import Silent
from drugscan.schema import LABELS
from tests import conftest
from tests.fake_model import FakeModel
from tests.test_ingest import desktop, message

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Scanned:
    """A scanned demo with tables, its truth per text, and how wrong its model is."""

    url: str
    truth: pl.DataFrame
    """text_id, drugsad, labels, provinces, copies of every current text."""

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["audit", *arguments], catch_exceptions=False)

    def facts(self) -> dict[str, Any]:
        current = corpus.manifest(self.url)
        assert current
        return publish.read_facts(current)

    def result(self, name: str) -> audit.Audit:
        return msgspec.json.decode((Path(self.url) / "audit" / name / "result.json").read_bytes(), type=audit.Audit)

    def labelled(self, name: str, wrong: float = 0.0, seed: int = 0) -> Rows:
        """What a person says of the drawn texts: the truth, but for a share of verdicts."""
        sample = audit_frame.stored(self.url, name)[1]
        random = np.random.default_rng(seed)
        rows = []
        for row in sample.join(self.truth, on="text_id", how="left", suffix="_true").iter_rows(named=True):
            is_ad = bool(row["drugsad"]) != (random.random() < wrong)
            outputs = ["drugsad", *(row["labels"] if row["drugsad"] else [])] if is_ad else []
            rows.append({"text_id": "t" + row["text_id"].hex(), "outputs": outputs})
        return rows


def _scan(exports: str, url: str, model: FakeModel) -> None:
    conftest.ingest([exports], url)
    conftest.score(url)
    _publish(url, model)


def _publish(url: str, model: FakeModel) -> None:
    """Tables, without the page: an audit does not need it, and its charts take time."""
    selection = listings.Selection(dict(model.thresholds))
    snapshot, run = corpus.snapshot(url), publish.new_run()
    work = aggregate.Work(corpus.snapshot(url), model.model_id, selection, storage.join(url, "tables", run))
    results = stages.run_stats(work, stages.InProcess(), Silent())
    facts = {**publish.provenance(snapshot, model.model_id, selection), "basis": run}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(publish, "render", lambda *given: "")
        publish.publish(url, run, results, facts, False)


def _planted(demo: conftest.Demo) -> FakeModel:
    """Knows four of five ads and most of their labels, and takes one of twenty other texts for an ad."""
    random = np.random.default_rng(11)
    known = {}
    for text, is_ad, labels in demo.texts.sort("text").select("text", "drugsad", "labels").iter_rows():
        luck = random.random(9)
        if is_ad and luck[8] < 0.8:
            known[text] = [
                "drugsad",
                *(label for label, one in zip(LABELS, luck, strict=False) if label in labels and one < 0.9),
            ]
        elif not is_ad and luck[8] < 0.05:
            known[text] = ["drugsad", "harddrugs"]
    return FakeModel(known, "planted")


@pytest.fixture(scope="module")
def scanned(small_demo: conftest.Demo, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    monkeypatch = pytest.MonkeyPatch()
    model, url = _planted(small_demo), str(tmp_path_factory.mktemp("audit") / "corpus")
    monkeypatch.setattr("drugscan.models.load", lambda name="default": model)
    _scan(small_demo.exports, url, model)
    monkeypatch.undo()
    copies = small_demo.messages.group_by("text_id").agg(copies=pl.len())
    return Scanned(url, small_demo.texts.join(copies, on="text_id").drop("text", "places", "national"))


def _true(scanned: Scanned, key: str) -> int:
    """The demo's own count of a figure."""
    ads, (side, unit) = scanned.truth.filter("drugsad"), key.rsplit(".", 1)
    if side.startswith("label."):
        ads = ads.filter(pl.col("labels").list.contains(side.removeprefix("label.")))
    return int(ads["copies"].sum()) if unit == "messages" else ads.height


def _page_file(folder: Path, labeller: str, rows: Rows) -> str:
    path = folder / f"{labeller}.json"
    path.write_text(json.dumps({"drugscan_audit": 1, "labeller": labeller, "labels": rows}))
    return str(path)


def test_draw_and_apply_with_the_page(scanned: Scanned, tmp_path: Path) -> None:
    drawn = scanned.run("draw", scanned.url, "-n", "400", "--out", str(tmp_path / "sheet.html"), "--name", "page")
    assert drawn.exit_code == 0, drawn.output
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "0.9" not in page.split('id="data"')[1].split("</script>")[0][:2000]
    assert audit.current(scanned.url, scanned.facts()) is None

    file = _page_file(tmp_path, "Anna", scanned.labelled("page"))
    applied = scanned.run("apply", scanned.url, file, "--name", "page", "--json")
    assert applied.exit_code == 0, applied.output
    result = msgspec.convert(json.loads(applied.stdout.splitlines()[-1])["audit"], audit.Audit)
    assert result == audit.current(scanned.url, scanned.facts())
    assert (result.drawn, result.labelled, result.disputed, result.labellers) == (400, 400, 0, ["Anna"])
    assert len(result.figures) == 2 * (1 + 8 + 12)
    held = 0
    for key, figure in result.figures.items():
        assert figure.lower <= figure.estimate <= figure.upper, key
        if not key.startswith("province."):
            held += figure.lower <= _true(scanned, key) <= figure.upper
    assert held >= 16  # of 18: one draw, 95 % each
    ads = result.figures["ads.messages"]
    assert ads.counted == scanned.facts()["ledger"]["listings"]
    assert abs(ads.estimate - _true(scanned, "ads.messages")) < abs(ads.counted - _true(scanned, "ads.messages"))
    right = scanned.truth.filter("drugsad")["copies"].sum()
    assert (
        result.rates["ads.messages.recall"].lower
        <= _found(scanned) / right
        <= result.rates["ads.messages.recall"].upper
    )
    assert result.rates["ads.texts.precision"].upper < 0.9


def _found(scanned: Scanned) -> int:
    """Messages that are ads and counted as such."""
    frame = audit_frame.read(scanned.url, scanned.facts())
    both = frame.filter("is_ad").join(scanned.truth.filter("drugsad"), on="text_id", how="semi")
    return int(both["copies"].sum())


def test_the_other_sheets_give_the_same_figures(scanned: Scanned, tmp_path: Path) -> None:
    """One draw, labelled on all three sheets: one result."""
    arguments = ("-n", "200", "--out", str(tmp_path / "c"), "--sheet", "label-studio", "--name", "sheets")
    assert scanned.run("draw", scanned.url, *arguments).exit_code == 0
    drawing, sample, _ = audit_frame.stored(scanned.url, "sheets")
    audit_sheet.write("csv", str(tmp_path / "b.csv"), drawing, sample)
    labels = {row["text_id"]: row["outputs"] for row in scanned.labelled("sheets")}
    results = []
    for sheet, out in (("html", "a.html"), ("csv", "b.csv"), ("label-studio", "c")):
        for file in _filled(sheet, tmp_path / out, labels):
            applied = scanned.run("apply", scanned.url, str(file), "--name", "sheets")
            assert applied.exit_code == 0, applied.output
            result = scanned.result("sheets")
            results.append((result.labelled, result.figures, result.rates))
    assert len(results) == 5
    assert all(each == results[0] for each in results)


def _filled(sheet: str, out: Path, labels: dict[str, list[str]]) -> list[Path]:
    """The files that a person would bring back who filled in this sheet."""
    if sheet == "html":
        return [Path(_page_file(out.parent, "Anna", [{"text_id": k, "outputs": v} for k, v in labels.items()]))]
    if sheet == "csv":
        return _filled_csv(out, labels)
    tasks = json.loads((out / "tasks.json").read_text())
    full, flat = [], []
    for number, task in enumerate(tasks, 1):
        outputs = labels[task["data"]["text_id"]]
        verdict, offered = "ad" if outputs else "no ad", [each for each in outputs if each != "drugsad"]
        result = [{"from_name": "drugsad", "to_name": "text", "type": "choices", "value": {"choices": [verdict]}}]
        if offered:
            result.append({"from_name": "labels", "to_name": "text", "type": "choices", "value": {"choices": offered}})
        annotation = {"id": number, "completed_by": 7, "was_cancelled": False, "result": result}
        full.append({"id": number, "data": task["data"], "annotations": [annotation], "predictions": []})
        more = {"labels": offered[0] if len(offered) == 1 else {"choices": offered}} if offered else {}
        flat.append({"id": number, "annotator": 7, "annotation_id": number, **task["data"], "drugsad": verdict, **more})
    for name, content in (("full.json", full), ("flat.json", flat)):
        (out / name).write_text(json.dumps(content))
    return [out / "full.json", out / "flat.json"]


def _filled_csv(out: Path, labels: dict[str, list[str]]) -> list[Path]:
    """As our own CSV, and as a Dutch Excel saves it: semicolons, Windows encoding."""
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"), newline="")))
    for row in rows:
        outputs = labels[row["text_id"]]
        row |= {output: "1" if output in outputs else "" for output in LABELS}
        row |= {"drugsad": "ja" if outputs else "nee", "labeller": "Anna"}
    paths = [out.with_name("filled.csv"), out.with_name("excel.csv")]
    for path, mark, encoding in zip(paths, ",;", ("utf-8", "cp1252"), strict=True):
        with path.open("w", encoding=encoding, errors="replace", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=mark)
            writer.writeheader()
            writer.writerows(rows)
    return paths


def test_the_basis(scanned: Scanned, small_demo: conftest.Demo) -> None:
    """An audit stands for the counts that it was drawn from, in whatever run, and for no others."""
    facts, model, snapshot = scanned.facts(), _planted(small_demo), corpus.snapshot(scanned.url)
    selection = listings.Selection(dict(model.thresholds))
    again = {**publish.provenance(snapshot, "planted", selection), "ledger": facts["ledger"], "basis": "another"}
    assert audit.basis_of(again) == audit.basis_of(facts) is not None
    for other in (
        publish.provenance(snapshot, "other", selection),
        publish.provenance(snapshot, "planted", listings.Selection(dict(model.thresholds), chats=("Prikbord 05",))),
        publish.provenance(snapshot, "planted", listings.Selection({**model.thresholds, "drugsad": 0.4})),
    ):
        assert audit.basis_of({**other, "ledger": facts["ledger"]}) != audit.basis_of(facts)
    assert audit.basis_of({**again, "ledger": {**facts["ledger"], "scored": 1}}) != audit.basis_of(facts)
    assert audit.basis_of({"ledger": facts["ledger"]}) is None


def test_the_summary_tells_of_the_audit(scanned: Scanned) -> None:
    figure = audit.Figure(100, 90.4, 80, 99.6)
    keys = [f"{side}.{unit}" for side in ("ads", *(f"label.{each}" for each in LABELS)) for unit in audit_frame.UNITS]
    found = audit.Audit(
        name="a", basis="b", date="2026-11-25", model="m", drawn=50, labelled=40, disputed=0, labellers=["Anna"],
        figures=dict.fromkeys(keys, figure), rates={"ads.messages.recall": audit.Rate(0.5, 0.4, 0.6)},
        rogan_gladen={"ads.texts": figure}, agreement={"drugsad": audit.Agreement(0.8, 0.7, 0.9, 30)},
    )  # fmt: skip
    assert show_audit.short(None) == "not audited"
    assert show_audit.short(found) == "by audit 90 (80 to 100)"
    lines = show_audit.lines(found).splitlines()
    assert lines[0] == "audit a: 40 of 50 drawn texts labelled by 1 person"
    assert lines[3].split() == ["drug", "ads", "100", "90", "80", "to", "100"]
    assert any(line.split() == ["recall,", "messages", "50.0%", "40.0%", "to", "60.0%"] for line in lines)
    assert any(line.split() == ["alpha", "drugsad", "0.80", "0.70", "to", "0.90"] for line in lines)


def test_two_people(scanned: Scanned, tmp_path: Path) -> None:
    scanned.run("draw", scanned.url, "-n", "150", "--out", str(tmp_path / "s.html"), "--name", "two")
    files = [
        _page_file(tmp_path, "Anna", scanned.labelled("two")),
        _page_file(tmp_path, "Bert", scanned.labelled("two", 0.1)),
    ]
    applied = scanned.run("apply", scanned.url, *files, "--name", "two")
    assert applied.exit_code == 0, applied.output
    result = scanned.result("two")
    assert 5 < result.disputed < 35
    alpha = result.agreement["drugsad"]
    assert alpha.texts == 150
    assert 0 < alpha.lower < alpha.alpha < alpha.upper < 1
    disputes = pl.read_csv(Path(scanned.url) / "audit" / "two" / "audit_disputes.csv")
    assert disputes.height == result.disputed
    assert disputes["drugsad"].to_list() == [0.5] * disputes.height
    assert "Anna: " in disputes["said"][0]


def test_half_of_the_labels_still_give_intervals(scanned: Scanned, tmp_path: Path) -> None:
    scanned.run("draw", scanned.url, "-n", "200", "--out", str(tmp_path / "s.html"), "--name", "half")
    rows = scanned.labelled("half")
    widths = []
    for count in (60, 200):
        scanned.run("apply", scanned.url, _page_file(tmp_path, "Anna", rows[:count]), "--name", "half")
        figure = scanned.result("half").figures["ads.messages"]
        assert figure.lower <= _true(scanned, "ads.messages") <= figure.upper
        widths.append(figure.upper - figure.lower)
    assert widths[0] > 1.3 * widths[1]


def test_a_sheet_is_blind_and_masked(scanned: Scanned, tmp_path: Path) -> None:
    for options, visible in (((), False), (("--keep-identities",), True)):
        out = tmp_path / f"{visible}.csv"
        name = f"masked-{visible}"
        scanned.run("draw", scanned.url, "-n", "300", "--out", str(out), "--sheet", "csv", "--name", name, *options)
        table = pl.read_csv(out, infer_schema=False)
        assert table.columns == ["number", "text_id", "text", "drugsad", *LABELS, "labeller"]
        assert table["text"].str.contains("@demo_").any() == visible
        assert not table["text"].str.contains(r"^[=+\-@]").any()
        ids = audit_frame.stored(scanned.url, name)[1].sort("score")["text_id"].to_list()
        assert table["text_id"].to_list() != ["t" + each.hex() for each in ids]  # shuffled


def test_everything_can_be_drawn_and_then_nothing_is_uncertain(tmp_path: Path, one_model: list[FakeModel]) -> None:
    """25 texts, all labelled: the corrected count is the truth, without an interval."""
    texts = [f"bericht nummer {number}" for number in range(25)]
    one_model.append(FakeModel({texts[0]: ["drugsad", "harddrugs"], texts[1]: ["drugsad"]}))
    url = str(tmp_path / "c")
    posted = [message(i, texts[i % 25]) for i in range(1, 61)]
    _scan(desktop(tmp_path / "in" / "result.json", posted), url, one_model[0])
    one = Scanned(url, pl.DataFrame())
    assert one.run("draw", url, "--out", str(tmp_path / "s.csv"), "--sheet", "csv", "--name", "all").exit_code == 0
    rows = pl.read_csv(tmp_path / "s.csv", infer_schema=False).to_dicts()
    for row in rows:
        row["drugsad"] = "1" if row["text"] in (texts[0], texts[2]) else "0"
    pl.DataFrame(rows).write_csv(tmp_path / "s.csv")
    assert one.run("apply", url, str(tmp_path / "s.csv")).exit_code == 0
    result = audit.current(url, one.facts())
    assert result is not None
    # texts 1 to 10 stand in 3 messages, text 0 and the rest in 2
    assert result.figures["ads.messages"] == audit.Figure(5, 5, 5, 5)
    assert result.figures["ads.texts"] == audit.Figure(2, 2, 2, 2)
    assert result.figures["label.harddrugs.texts"] == audit.Figure(1, 0, 0, 0)
    assert result.rates["ads.messages.recall"] == audit.Rate(0.4, 0.4, 0.4)
    assert result.rates["ads.messages.precision"] == audit.Rate(0.4, 0.4, 0.4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("draw", "URL", "--out", "x.html", "-n", "5"), "draw at least 20"),
        (("draw", "URL", "--out", "x.html", "--name", "page"), "has an audit page already; give another --name"),
        (("draw", "URL", "--out", "x.html", "--name", "../up"), "../up cannot be the name of an audit"),
        (("draw", "/nowhere", "--out", "x.html"), "is no corpus"),
        (("apply", "URL", "FILE", "--name", "nobody"), "has no audit nobody; it has "),
    ],
)
def test_errors_name_the_thing_and_the_next_step(
    scanned: Scanned, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "labels.json").write_text("[]")
    names = {"URL": scanned.url, "FILE": str(tmp_path / "labels.json"), "x.html": str(tmp_path / "x.html")}
    scanned.run("draw", scanned.url, "-n", "20", "--out", str(tmp_path / "p.html"), "--name", "page")
    done = scanned.run(*(names.get(each, each) for each in arguments))
    assert done.exit_code == 1
    assert told in done.output


def test_a_corpus_that_has_grown_is_refused(tmp_path: Path, one_model: list[FakeModel]) -> None:
    one_model.append(FakeModel({}))
    url = str(tmp_path / "c")
    _scan(desktop(tmp_path / "in" / "result.json", [message(i, f"tekst {i}") for i in range(1, 40)]), url, one_model[0])
    conftest.ingest([desktop(tmp_path / "in2" / "result.json", [message(99, "nog een")])], url)
    conftest.score(url)
    done = Scanned(url, pl.DataFrame()).run("draw", url, "--out", str(tmp_path / "x.html"))
    assert done.exit_code == 1
    assert "has changed since its tables were made; run `drugscan stats" in done.output
