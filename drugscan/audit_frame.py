"""The drawn sample of a corpus: every distinct scored text that its current tables count, and the texts to look at.

    audit/NAME/sample.parquet    the drawn texts: stratum, probability, what the model says, where they may be had
    audit/NAME/strata.parquet    per stratum: texts, messages, how many were drawn, and the model's total per figure
    audit/NAME/drawing.json      what was drawn from

These are all that `apply` needs beside the labels, so it takes seconds, whatever the size of the corpus.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from drugscan import audit, audit_sample, contacts, corpus, gazetteer, listings, places, score, storage, versions
from drugscan.audit import AuditError
from drugscan.listings import Selection
from drugscan.schema import DETECTOR_LABEL, LABELS

LEAST: Final = 20
"""Texts of the smallest sample that says anything."""
_NAME: Final = re.compile(r"\w[\w.-]{0,60}")
UNITS: Final = ("messages", "texts")
_NO_PLACES: Final = pl.lit([], dtype=pl.List(pl.String))


class Drawing(msgspec.Struct, frozen=True):
    """`drawing.json`: from what a sample was drawn, and how."""

    name: str
    basis: str
    """See `audit.basis_of`."""
    model: str
    created_at: str
    seed: int
    texts: int
    """Distinct texts that could be drawn."""
    drawn: int


class Wanted(msgspec.Struct, frozen=True):
    """What the user asks for."""

    texts: int
    name: str
    seed: int = 0
    keep_identities: bool = False


def draw(url: str, run_facts: Mapping[str, Any], wanted: Wanted) -> tuple[Drawing, pl.DataFrame]:
    """Draw from what the run (its run.json) counted, and store it; the sample has the texts, in shuffled order.

    Raises `AuditError` when the corpus has changed since, or the name is taken.
    """
    basis = audit.basis_of(run_facts)
    if basis is None:
        raise AuditError(f"the tables of {url} are of an earlier version; run `drugscan stats --corpus {url}` first")
    if not _NAME.fullmatch(wanted.name):
        raise AuditError(f"{wanted.name} cannot be the name of an audit; use letters, digits, dots and dashes")
    if wanted.texts < LEAST:
        raise AuditError(f"a sample of {wanted.texts} texts says nothing; draw at least {LEAST}")
    if storage.exists(storage.join(audit.folder(url, wanted.name), "drawing.json")):
        raise AuditError(f"{url} has an audit {wanted.name} already; give another --name")
    frame = read(url, run_facts)
    score_of, copies, is_ad = (frame[name].to_numpy() for name in ("score", "copies", "is_ad"))
    known = audit_sample.Frame(score_of, copies, is_ad, _threshold(run_facts))
    drawn = audit_sample.draw(known, wanted.texts, np.random.default_rng(wanted.seed))
    placed = frame.with_columns(stratum=pl.Series(drawn.stratum))
    sample = _with_texts(url, placed[drawn.rows], wanted)
    strata = _strata(placed, sample)
    chances = strata.select("stratum", probability=pl.col("drawn") / pl.col("texts"))
    sample = sample.join(chances, on="stratum", maintain_order="left")
    counted = run_facts["counted"]["model"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    drawing = Drawing(wanted.name, basis, counted, now, wanted.seed, frame.height, sample.height)
    _write(url, drawing, sample, strata)
    return drawing, sample


def _threshold(run_facts: Mapping[str, Any]) -> float:
    return float(run_facts["counted"]["selection"]["thresholds"][DETECTOR_LABEL])


def read(url: str, run_facts: Mapping[str, Any]) -> pl.DataFrame:
    """One row per scored text: text_id, bucket, score, copies, is_ad, the labels, and the provinces of an ad."""
    counted, snapshot = run_facts["counted"], corpus.snapshot(url)
    selection = msgspec.convert(counted["selection"], Selection)
    slices = (versions.find_losers(snapshot, part)[0] for part in range(versions.slice_count(snapshot)))
    lost = pl.DataFrame(pa.concat_tables(slices)).drop("bucket")
    parts = []
    for number in range(snapshot.buckets):
        bucket = listings.read_bucket(snapshot, number, counted["model"], selection, lost)
        parts.append(_texts_of(bucket, score.read_scores(snapshot, number, counted["model"]), number))
    frame = pl.concat([part for part in parts if part.height] or parts[:1])
    ledger = run_facts["ledger"]
    here = (frame["copies"].sum(), frame.filter("is_ad")["copies"].sum())
    if here != (ledger["scored"], ledger["listings"]):
        raise AuditError(f"{url} has changed since its tables were made; run `drugscan stats --corpus {url}` first")
    if frame.is_empty():
        raise AuditError(f"{url} has no scored text to look at")
    return frame


def _texts_of(bucket: listings.Bucket, scores: pl.DataFrame, number: int) -> pl.DataFrame:
    """The scored texts of a bucket; a text below the threshold has no labels, and its provinces are not looked for."""
    counted = bucket.messages.filter(state="scored").group_by("text_id", "is_ad").agg(copies=pl.len().cast(pl.Int64))
    seen = scores if scores.width > 1 else pl.DataFrame(schema={"text_id": pl.Binary, DETECTOR_LABEL: pl.Float32})
    return (
        counted.join(seen.lazy().select("text_id", score=pl.col(DETECTOR_LABEL).cast(pl.Float64)), on="text_id")
        .join(bucket.texts.select("text_id", *LABELS, "provinces"), on="text_id", how="left")
        .with_columns(pl.col(LABELS).fill_null(False), pl.col("provinces").fill_null(_NO_PLACES))
        .with_columns(bucket=pl.lit(number, pl.Int64))
        .select("text_id", "bucket", "score", "copies", "is_ad", *LABELS, "provinces")
        .sort("text_id")
        .collect()
    )


def _with_texts(url: str, drawn: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """The drawn texts with what they say and the provinces of all, shuffled and numbered from 1.

    Those that were taken for certain come first: who stops half-way has seen at least these, which weigh most.
    """
    snapshot = corpus.snapshot(url)
    found = []
    for number in drawn["bucket"].unique().sort():
        texts = pl.DataFrame(corpus.read_bucket(snapshot, number, ["text_id", "text"]))
        found.append(texts.join(drawn, on="text_id", how="semi").unique("text_id", keep="any"))
    texts = pl.concat(found).sort("text_id")
    texts = texts.join(places.regions(texts).select("text_id", "provinces"), on="text_id")
    if not wanted.keep_identities:
        texts = texts.with_columns(contacts.cover(texts["text"]))
    whole = drawn.drop("bucket", "provinces").join(texts, on="text_id").sort("text_id")
    whole = whole[np.random.default_rng([wanted.seed, 1]).permutation(whole.height)]
    whole = whole.sort(pl.col("stratum") > 0, maintain_order=True)
    return whole.with_row_index("number", 1).with_columns(pl.col("number").cast(pl.Int64))


def figure_keys() -> dict[str, tuple[str, pl.Expr]]:
    """Key of each figure of an audit (see `audit.Audit.figures`) -> its unit, and which texts count."""
    sides = {"ads": pl.col("is_ad")} | {f"label.{label}": pl.col(label) for label in LABELS}
    for province in gazetteer.provinces()["province"].sort():
        sides[f"province.{province}"] = pl.col("is_ad") & pl.col("provinces").list.contains(province)
    return {f"{side}.{unit}": (unit, counts) for side, counts in sides.items() for unit in UNITS}


def _strata(placed: pl.DataFrame, sample: pl.DataFrame) -> pl.DataFrame:
    """What is known of each stratum without looking at a text."""
    totals = {
        key: (pl.col("copies").filter(counts) if unit == "messages" else counts.cast(pl.Int64)).sum()
        for key, (unit, counts) in figure_keys().items()
    }
    known = placed.group_by("stratum").agg(
        pl.len().cast(pl.Int64).alias("texts"),
        pl.col("copies").sum().alias("messages"),
        pl.col("score").min().alias("least_score"),
        pl.col("score").max().alias("greatest_score"),
        pl.col("copies").min().alias("fewest_copies"),
        pl.col("copies").max().alias("most_copies"),
        **totals,
    )
    drawn = sample.group_by("stratum").agg(drawn=pl.len().cast(pl.Int64))
    return known.join(drawn, on="stratum", how="left").with_columns(pl.col("drawn").fill_null(0)).sort("stratum")


def _write(url: str, drawing: Drawing, sample: pl.DataFrame, strata: pl.DataFrame) -> None:
    """The drawing itself comes last: without it nothing was drawn."""
    folder = audit.folder(url, drawing.name)
    corpus.write_table(storage.join(folder, "sample.parquet"), sample.to_arrow())
    corpus.write_table(storage.join(folder, "strata.parquet"), strata.to_arrow())
    storage.write_bytes(storage.join(folder, "drawing.json"), msgspec.json.format(msgspec.json.encode(drawing)))


def drawings(url: str) -> list[Drawing]:
    """All samples that were drawn of a corpus, oldest first."""
    files = storage.list_files(storage.join(url, "audit"))
    found = [msgspec.json.decode(storage.read_bytes(f), type=Drawing) for f in files if f.endswith("/drawing.json")]
    return sorted(found, key=lambda drawing: (drawing.created_at, drawing.name))


def stored(url: str, name: str | None) -> tuple[Drawing, pl.DataFrame, pl.DataFrame]:
    """A drawing (the newest, without a name), its sample and its strata; raises `AuditError` when there is none."""
    known = {drawing.name: drawing for drawing in drawings(url)}
    if not known or (name and name not in known):
        what = f"no audit {name}; it has {', '.join(known)}" if known else "no sample yet"
        raise AuditError(f"{url} has {what}; draw one with `drugscan audit draw {url} --out sheet.html`")
    drawing = known[name] if name else list(known.values())[-1]
    folder = audit.folder(url, drawing.name)
    sample, strata = (corpus.read_table(storage.join(folder, f"{part}.parquet")) for part in ("sample", "strata"))
    return drawing, pl.DataFrame(sample), pl.DataFrame(strata)
