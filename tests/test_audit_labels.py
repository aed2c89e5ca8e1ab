"""What people bring back: read in every form, and what is wrong with it told, counted and left out."""

import json
from pathlib import Path

import krippendorff
import numpy as np
import pytest

from drugscan import agreement, audit_labels
from drugscan.audit import AuditError
from drugscan.audit_labels import Said
from drugscan.schema import LABELS

A, B, C = b"\x01" * 16, b"\x02" * 16, b"\x0e" * 16
HEAD = "number,text_id,text,drugsad," + ",".join(LABELS) + ",labeller\n"


def write(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def page(labeller: str, *rows: tuple[bytes, list[str]]) -> dict[str, object]:
    return {
        "drugscan_audit": 1,
        "labeller": labeller,
        "labels": [{"text_id": "t" + text_id.hex(), "outputs": outputs} for text_id, outputs in rows],
    }


def said(labels: audit_labels.Labels) -> dict[tuple[bytes, str], set[str]]:
    return {key: set(each.outputs) for key, each in labels.said.items()}


def test_a_csv_of_two_people(tmp_path: Path) -> None:
    """Yes and no in both languages; an empty verdict is not labelled yet; a formula guard in the text does no harm."""
    rows = [
        f't1,t{A.hex()},"\'=HYPERLINK(1), een ad",Ja,x,,,,,,,,Anna',
        f"2,{B.hex().upper()},tekst,0,,,,,,,,,Anna",
        f"3,t{C.hex()},tekst,,,,,,,,,,Anna",
        f"1,t{A.hex()},tekst,NEE,,,,,,,,,Bert",
    ]
    labels = audit_labels.read([write(tmp_path, "all.csv", HEAD + "\n".join(rows) + "\n")], [A, B, C])
    assert said(labels) == {(A, "Anna"): {"drugsad", "softdrugs"}, (B, "Anna"): set(), (A, "Bert"): set()}
    assert labels.labellers() == ["Anna", "Bert"]
    assert labels.counts == {"unfinished": 1}


def test_a_person_without_a_name_is_the_file(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "anna.csv", f"{HEAD}1,t{A.hex()},x,1,,,,,,,,,\n"),
        write(tmp_path, "bert.json", page("", (A, []))),
    ]
    assert audit_labels.read(files, [A]).labellers() == ["anna", "bert"]


def test_what_cannot_be_used_is_left_out_and_told(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "1.json", page("Anna", (A, ["drugsad"]), (B, ["drugsad"]), (b"\x09" * 16, []))),
        write(tmp_path, "2.json", page("Anna", (A, ["drugsad"]), (B, []), (C, ["harddrugs"]))),
    ]
    labels = audit_labels.read(files, [A, B, C])
    assert said(labels) == {(A, "Anna"): {"drugsad"}}
    assert labels.counts == {"unknown": 1, "doubled": 1, "contradictory": 2}
    assert labels.problems == [
        f"{files[0]}, label 3: text {'09' * 16} is not in this sample",
        f"{files[1]}, label 2: Anna said otherwise at {files[0]}, label 2",
        f"{files[1]}, label 3: harddrugs on what is no ad",
    ]


def test_label_studio(tmp_path: Path) -> None:
    """Two annotators on a task, one annotation cancelled, one without a verdict; labels left from before `no ad`."""

    def choice(name: str, *values: str) -> dict[str, object]:
        return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(values)}}

    task = {
        "id": 5,
        "data": {"text": "x", "text_id": "t" + A.hex()},
        "annotations": [
            {"completed_by": 3, "result": [choice("drugsad", "ad"), choice("labels", "post", "bulk")]},
            {"completed_by": {"email": "b@x.org"}, "result": [choice("drugsad", "no ad"), choice("labels", "post")]},
            {"completed_by": 3, "was_cancelled": True, "result": [choice("drugsad", "no ad")]},
            {"completed_by": 6, "result": []},
        ],
    }  # fmt: skip
    labels = audit_labels.read([write(tmp_path, "project.json", [task])], [A])
    assert said(labels) == {(A, "3"): {"drugsad", "post", "bulk"}, (A, "b@x.org"): set()}
    assert labels.counts == {"unfinished": 1}
    flat = [
        {"id": 1, "text": "x", "text_id": "t" + A.hex(), "drugsad": "ad", "labels": "bulk", "annotator": 3},
        {"id": 2, "text": "x", "text_id": "t" + B.hex(), "drugsad": "ad", "labels": {"choices": ["post", "bulk"]}},
    ]
    labels = audit_labels.read([write(tmp_path, "min.json", flat)], [A, B])
    assert said(labels) == {(A, "3"): {"drugsad", "bulk"}, (B, "min"): {"drugsad", "post", "bulk"}}


def test_number_1_of_two_installations_are_two_people(tmp_path: Path) -> None:
    """In Label Studio everybody is user 1 of his own installation; an address is one person in every file."""

    def verdict(person: object, *values: str) -> dict[str, object]:
        choices = {"from_name": "drugsad", "type": "choices", "value": {"choices": list(values)}}
        return {"completed_by": person, "result": [choices]}

    def task(text_id: bytes, *annotations: dict[str, object]) -> dict[str, object]:
        return {"data": {"text_id": "t" + text_id.hex()}, "annotations": list(annotations)}

    files = [
        write(tmp_path, "anna.json", [task(A, verdict(1, "ad")), task(B, verdict({"email": "c@x.org"}, "ad"))]),
        write(tmp_path, "bert.json", [task(A, verdict({"id": 1}, "no ad")), task(B, verdict(2, "ad"))]),
        write(tmp_path, "chris.json", [task(B, verdict({"id": 5, "email": "c@x.org"}, "ad"))]),
    ]
    labels = audit_labels.read(files, [A, B])
    assert said(labels) == {
        (A, "anna (1)"): {"drugsad"},
        (A, "bert (1)"): set(),
        (B, "c@x.org"): {"drugsad"},
        (B, "2"): {"drugsad"},
    }
    assert labels.counts == {"doubled": 1}
    (tmp_path / "other").mkdir()
    same = write(tmp_path / "other", "anna.json", [task(A, verdict(1, "no ad"))])
    assert audit_labels.read([files[0], same], [A, B]).labellers() == [f"{files[0]} (1)", f"{same} (1)", "c@x.org"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.csv", "a,b\n1,2\n", "has no column bezorging, bulk"),
        ("x.csv", f"{HEAD}1,t{A.hex()},x,maybe,,,,,,,,,\n", "line 2: drugsad is 'maybe'; write 1 or 0"),
        ("x.json", '{"a": 1', "is damaged"),
        ("x.json", '{"a": 1}', "is neither what the sheet saves nor a JSON export of Label Studio"),
        ("x.json", [1, 2], "is neither what the sheet saves"),
        ("x.csv", HEAD, "has no label"),
        ("x.json", page("Anna", (B, [])), "its texts are not of this sample: give the --name of its audit"),
    ],
)
def test_files_of_no_use(tmp_path: Path, name: str, content: object, told: str) -> None:
    with pytest.raises(AuditError, match=told.replace("(", r"\(")):
        audit_labels.read([write(tmp_path, name, content)], [A])


def _said(*people: set[str]) -> list[Said]:
    return [Said(A, str(number), frozenset(outputs), "here") for number, outputs in enumerate(people)]


def test_the_majority_counts_and_an_even_vote_is_half() -> None:
    verdict = agreement.verdict(_said({"drugsad", "post"}, {"drugsad", "bulk"}, set()))
    assert dict(zip(agreement.OUTPUTS, verdict, strict=True)) == {"drugsad": 1.0, **dict.fromkeys(LABELS, 0.0)}
    verdict = agreement.verdict(_said({"drugsad", "post"}, set()))
    assert verdict[0] == verdict[agreement.OUTPUTS.index("post")] == 0.5
    assert verdict.sum() == 1.0
    assert agreement.verdict(_said({"drugsad"}))[0] == 1.0


def test_alpha_is_that_of_the_package_with_every_number_of_people() -> None:
    random = np.random.default_rng(2)
    people = random.integers(2, 5, 60)
    yes = random.binomial(people, np.where(random.random(60) < 0.5, 0.9, 0.2))
    sums = np.array([[yes.sum(), people.sum(), (yes * (people - yes) / (people - 1)).sum()]], np.float64)
    right = krippendorff.alpha(value_counts=np.column_stack([people - yes, yes]), level_of_measurement="nominal")
    assert agreement.alphas(sums)[0] == pytest.approx(right, rel=1e-12)
    texts = {
        bytes([number]): _said(*[{"drugsad"}] * int(y), *[set()] * int(p - y))
        for number, (y, p) in enumerate(zip(yes, people, strict=True))
    }
    found = agreement.agreements(texts)["drugsad"]
    assert found.alpha == pytest.approx(right, rel=1e-12)
    assert found.lower < right < found.upper
    assert found.texts == 60


def test_labels_agree_only_where_all_call_it_an_ad() -> None:
    """Six of eight texts are ads to both; on two of these they differ in `post`."""
    both = [({"drugsad", "post"}, {"drugsad", "post"})] * 2 + [({"drugsad"}, {"drugsad"})] * 2
    both += [({"drugsad", "post"}, {"drugsad"}), ({"drugsad"}, {"drugsad", "post"})]
    both += [({"drugsad", "post"}, set()), (set(), set())]
    texts = {bytes([number]): _said(*each) for number, each in enumerate(both)}
    found = agreement.agreements(texts)
    assert found["post"].texts == 6
    # of 12 verdicts 6 say post: 1 - 11 x (2 x 1) / (6 x 6)
    assert found["post"].alpha == pytest.approx(1 - 11 * 2 / 36)
    assert "bulk" not in found
