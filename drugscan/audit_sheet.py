"""Sheets for people to label the drawn texts on: a page for the browser, a CSV, or a project for Label Studio.

A sheet shows the texts in shuffled order and nothing of what the model says: who labels is blind.
"""

import json
import re
from collections.abc import Callable
from typing import Final

import markupsafe
import polars as pl

from drugscan import publish, storage
from drugscan.agreement import OUTPUTS
from drugscan.audit_frame import Drawing
from drugscan.audit_labels import ID_MARK
from drugscan.report import allowed, asset, template_of
from drugscan.schema import LABELS

MEANINGS: Final = {
    "softdrugs": "cannabis with THC, hash, paddo's, nitrous oxide, khat",
    "harddrugs": "cocaine, heroin, xtc, speed, meth, GHB, LSD, 2C-B, ketamine",
    "designer": "3-MMC and kin, 4-FA, ketamine analogues, designer benzos",
    "medicijnen": "benzos, opioids, ADHD pills, erection pills, slimming injections",
    "bezorging": "the seller brings it to the buyer",
    "pickup": "the buyer comes for it",
    "post": "sent by mail or parcel",
    "bulk": "100 g or 100 pieces and more, kilos, wholesale",
}
"""The definitions of docs/labels.md in a few words."""
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")
"""Control characters and those that turn the direction of a text: shown as a sign of their own."""


def page(drawing: Drawing, sample: pl.DataFrame) -> bytes:
    """One HTML file that works offline; its labels are saved as a JSON file by the browser."""
    style, script = asset("style.css") + asset("sheet.css"), asset("sheet.js")
    shown = ((ID_MARK + row[0].hex(), _UNSEEN.sub("\ufffd", row[1])) for row in _rows(sample))
    key = storage.digest(drawing.name, drawing.basis, str(drawing.seed), str(drawing.drawn))
    data = {"name": drawing.name, "key": key, "outputs": OUTPUTS, "texts": list(shown)}
    # inside <script> only "<" could end the data; as an escape of JSON it cannot
    encoded = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return (
        template_of("sheet.html")
        .render(
            style=markupsafe.Markup(style),
            script=markupsafe.Markup(script),
            data=markupsafe.Markup(encoded),
            policy=f"default-src 'none'; style-src {allowed(style)}; script-src {allowed(script)}",
            name=drawing.name,
            texts=data["texts"],
            labels=[(label, MEANINGS[label]) for label in LABELS],
        )
        .encode()
    )


def _rows(sample: pl.DataFrame) -> list[tuple[bytes, str]]:
    return sample.sort("number").select("text_id", "text").rows()


def csv_sheet(drawing: Drawing, sample: pl.DataFrame) -> bytes:
    """A table to fill in: 1 or 0 under `drugsad`, 1 under the labels that hold; `labeller` may stay empty."""
    empty = {name: pl.lit("") for name in (*OUTPUTS, "labeller")}
    marked = pl.concat_str(pl.lit(ID_MARK), pl.col("text_id").bin.encode("hex"))
    return publish.as_csv(sample.sort("number").select("number", marked.alias("text_id"), "text", **empty))


def tasks(drawing: Drawing, sample: pl.DataFrame) -> bytes:
    """What Label Studio imports: one task a text."""
    found = [
        {"data": {"text": _UNSEEN.sub("\ufffd", text), "text_id": ID_MARK + text_id.hex(), "audit": drawing.name}}
        for text_id, text in _rows(sample)
    ]
    return json.dumps(found, ensure_ascii=False, indent=1).encode()


def configuration() -> bytes:
    """The labelling interface for Label Studio: a verdict, and for an ad its labels."""
    labels = "\n".join(
        f'    <Choice value="{label}" hint="{markupsafe.escape(MEANINGS[label])}" hotkey="{number}"/>'
        for number, label in enumerate(LABELS, 1)
    )
    return f"""<View>
  <Text name="text" value="$text"/>
  <Choices name="{OUTPUTS[0]}" toName="text" choice="single-radio" required="true" showInline="true">
    <Choice value="ad" hotkey="y"/>
    <Choice value="no ad" hotkey="n"/>
  </Choices>
  <Choices name="labels" toName="text" choice="multiple" visibleWhen="choice-selected" \
whenTagName="{OUTPUTS[0]}" whenChoiceValue="ad">
{labels}
  </Choices>
</View>
""".encode()


_FILES: Final[dict[str, Callable[[Drawing, pl.DataFrame], bytes]]] = {"html": page, "csv": csv_sheet}
KINDS: Final = ("html", "csv", "label-studio")


def write(kind: str, out: str, drawing: Drawing, sample: pl.DataFrame) -> list[str]:
    """Write a sheet to the file `out` (for Label Studio: into the folder `out`); what was written."""
    if kind in _FILES:
        storage.write_bytes(out, _FILES[kind](drawing, sample))
        return [out]
    files = {storage.join(out, "tasks.json"): tasks(drawing, sample), storage.join(out, "labels.xml"): configuration()}
    for path, content in files.items():
        storage.write_bytes(path, content)
    return list(files)
