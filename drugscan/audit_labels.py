"""What people said of the drawn texts, from the files that they bring back.

Three kinds of file are read, told apart by what they hold: what the HTML sheet saves, a CSV sheet, and the JSON or
JSON-MIN export of Label Studio.
"""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from drugscan import storage
from drugscan.audit import AuditError
from drugscan.schema import DETECTOR_LABEL, LABELS

ID_MARK: Final = "t"
"""Before the hex digits of an id in a sheet: a spreadsheet would take some of them for numbers."""
_YES: Final = frozenset(("1", "y", "yes", "j", "ja", "true", "waar", "x", "ad"))
_NO: Final = frozenset(("0", "n", "no", "nee", "false", "onwaar", "", "no ad"))


@dataclass(frozen=True)
class Said:
    """What one person said of one text."""

    text_id: bytes
    labeller: str
    outputs: frozenset[str]
    """`drugsad` and the labels that hold; empty for no ad."""
    place: str
    """File and row, for messages."""
    number: str = ""
    """The labeller where Label Studio gives no more of him than a number."""


@dataclass
class Labels:
    """All that was said and can be used, and what was wrong with the rest."""

    said: dict[tuple[bytes, str], Said] = field(default_factory=dict)
    """By text and labeller."""
    counts: Counter[str] = field(default_factory=Counter)
    """`unknown` texts, `doubled` rows (the same said twice), `contradictory` ones, `unfinished` ones."""
    problems: list[str] = field(default_factory=list)
    """One line for each row that was left out for being unknown or contradictory."""

    def labellers(self) -> list[str]:
        """Who labelled, sorted."""
        return sorted({labeller for _, labeller in self.said})


def read(files: Iterable[str], drawn: Iterable[bytes]) -> Labels:
    """What the files say of the drawn texts. Raises `AuditError` for a file of no known kind, or with no label.

    A row about another text is left out; so is everything that one person said of a text in contradiction with
    himself (two verdicts, or a label on what is no ad). A bare number of Label Studio that occurs in several files is
    another person in each: every installation counts its users from 1.
    """
    labels, known = Labels(), set(drawn)
    rejected: set[tuple[bytes, str]] = set()
    rows = {file: list(_rows(file, labels)) for file in files}
    for file, of_file in _told_apart(rows).items():
        before = len(labels.said)
        for said in of_file:
            _take(said, labels, known, rejected)
        if len(labels.said) == before and not rejected and not labels.counts["doubled"]:
            others = "; its texts are not of this sample: give the --name of its audit" if labels.problems else ""
            raise AuditError(f"{file} has no label{others}")
    labels.said = {key: said for key, said in labels.said.items() if key not in rejected}
    return labels


def _told_apart(rows: dict[str, list[Said]]) -> dict[str, list[Said]]:
    """The rows of each file, with the name of the file before a number of Label Studio that stands in several."""
    numbers = Counter(number for said in rows.values() for number in {each.number for each in said if each.number})
    names = Counter(_name(file) for file in rows)
    found = {}
    for file, said in rows.items():
        name = _name(file) if names[_name(file)] == 1 else file
        found[file] = [
            replace(one, labeller=f"{name} ({one.number})") if numbers[one.number] > 1 else one for one in said
        ]
    return found


def _take(said: Said, labels: Labels, known: set[bytes], rejected: set[tuple[bytes, str]]) -> None:
    key = (said.text_id, said.labeller)
    if said.text_id not in known:
        _leave_out(labels, "unknown", f"{said.place}: text {said.text_id.hex() or '?'} is not in this sample")
    elif said.outputs and DETECTOR_LABEL not in said.outputs:
        rejected.add(key)
        _leave_out(labels, "contradictory", f"{said.place}: {', '.join(sorted(said.outputs))} on what is no ad")
    elif key in labels.said and labels.said[key].outputs != said.outputs:
        rejected.add(key)
        _leave_out(labels, "contradictory", f"{said.place}: {said.labeller} said otherwise at {labels.said[key].place}")
    elif key in labels.said:
        labels.counts["doubled"] += 1
    else:
        labels.said[key] = said


def _leave_out(labels: Labels, reason: str, line: str) -> None:
    labels.counts[reason] += 1
    labels.problems.append(line)


def _rows(file: str, labels: Labels) -> Iterator[Said]:
    data = storage.read_bytes(file)
    name = _name(file)
    if data.lstrip()[:1] not in (b"{", b"["):
        return _of_csv(data, file, name, labels)
    try:
        content = json.loads(data)
    except ValueError as error:
        raise AuditError(f"{file} is damaged: {error}; save or export it again") from error
    if isinstance(content, dict) and "drugscan_audit" in content:
        return _of_page(content, file, name)
    if isinstance(content, list) and all(isinstance(each, dict) for each in content):
        return _of_label_studio(content, file, name, labels)
    raise AuditError(f"{file} is neither what the sheet saves nor a JSON export of Label Studio")


def _name(file: str) -> str:
    return file.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _id(given: object) -> bytes:
    try:
        return bytes.fromhex(str(given or "").strip().removeprefix(ID_MARK))
    except ValueError:
        return b""


def _of_page(content: dict[str, Any], file: str, name: str) -> Iterator[Said]:
    """What the HTML sheet saves: {drugscan_audit, labeller, labels: [{text_id, outputs}]}."""
    labeller = str(content.get("labeller") or "").strip() or name
    for number, row in enumerate(content.get("labels", []), 1):
        outputs = frozenset(row.get("outputs", ())) & {DETECTOR_LABEL, *LABELS}
        yield Said(_id(row.get("text_id")), labeller, outputs, f"{file}, label {number}")


def _of_csv(data: bytes, file: str, name: str, labels: Labels) -> Iterator[Said]:
    """A CSV sheet, as it was made or as a spreadsheet saved it (semicolons, Windows encoding)."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    missing = {"text_id", DETECTOR_LABEL, *LABELS} - set(rows.fieldnames or ())
    if missing:
        raise AuditError(f"{file} has no column {', '.join(sorted(missing))}; keep the columns of the sheet")
    for row in rows:
        place = f"{file}, line {rows.line_num}"
        ticks = {output: (row[output] or "").strip().lower() for output in (DETECTOR_LABEL, *LABELS)}
        for output, tick in ticks.items():
            if tick not in _YES | _NO:
                raise AuditError(f"{place}: {output} is {tick[:40]!r}; write 1 or 0, yes or no, ja or nee")
        outputs = frozenset(output for output, tick in ticks.items() if tick in _YES)
        if not ticks[DETECTOR_LABEL] and not outputs:
            labels.counts["unfinished"] += 1
            continue
        yield Said(_id(row["text_id"]), (row.get("labeller") or "").strip() or name, outputs, place)


def _of_label_studio(tasks: list[dict[str, Any]], file: str, name: str, labels: Labels) -> Iterator[Said]:
    """Label Studio's JSON (annotations with results) or JSON-MIN (one flat object per annotation)."""
    for number, task in enumerate(tasks, 1):
        place = f"{file}, task {number}"
        if "annotations" not in task:
            verdicts = [
                (task.get("annotator"), {DETECTOR_LABEL: task.get(DETECTOR_LABEL), "labels": task.get("labels")})
            ]
        else:
            verdicts = [
                (each.get("completed_by"), {r.get("from_name"): r.get("value", {}) for r in each.get("result", [])})
                for each in task["annotations"]
                if not each.get("was_cancelled")
            ]
        for person, answers in verdicts:
            verdict = _choices(answers.get(DETECTOR_LABEL))
            if not verdict:
                labels.counts["unfinished"] += 1
                continue
            outputs = {DETECTOR_LABEL} if verdict[0].lower() in _YES else set()
            # labels are hidden in the form when it is no ad; what was ticked before is no contradiction
            outputs |= set(_choices(answers.get("labels"))) & set(LABELS) if outputs else set()
            text_id, labeller = _id(task.get("data", task).get("text_id")), _person(person)
            bare = labeller if labeller.isdecimal() else ""
            yield Said(text_id, labeller or name, frozenset(outputs), place, bare)


def _choices(value: object) -> list[str]:
    """The choices of an answer: `{"choices": [...]}`, a list, or one string."""
    found = value.get("choices") if isinstance(value, dict) else value
    return [found] if isinstance(found, str) else [str(each) for each in found] if isinstance(found, list) else []


def _person(completed_by: object) -> str:
    """Who labelled: an address, a number, or nothing."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "" if completed_by is None else str(completed_by)


def by_text(labels: Labels) -> dict[bytes, list[Said]]:
    """What everybody said of each labelled text."""
    found: dict[bytes, list[Said]] = defaultdict(list)
    for said in labels.said.values():
        found[said.text_id].append(said)
    return dict(found)
