"""Which messages count, and which of them are ads: the current version of each message, joined with the scores.

Everything here is Polars over one bucket at a time; thresholds and selections are applied here, without a model.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from drugscan import corpus, drug_names, given, places, prices, score
from drugscan.schema import DETECTOR_LABEL, LABELS

_COLUMNS: Final = (
    "peer_kind",
    "chat_id",
    "message_id",
    "chat_title",
    "sender_id",
    "sender_kind",
    "sent_at",
    "edited_at",
    "is_forward",
    "text_id",
    "links",
    "source",
    "source_offset",
    "range_id",
)


@dataclass(frozen=True)
class Selection:
    """What is counted, and what counts as an ad."""

    thresholds: dict[str, float]
    """Label (of `drugsad` and the eight) -> least probability at which it holds."""
    since: date | None = None
    until: date | None = None
    """First and last day that count (both inclusive, in the time zone of the corpus); null = no limit."""
    chats: tuple[str, ...] = ()
    """Bare chat ids or exact titles; empty = all."""
    timezone: str = "Europe/Amsterdam"


@dataclass(frozen=True)
class Bucket:
    """One bucket ready for statistics.

    `messages`: the current, selected messages with `local_time` and `state` (scored|pending|failed|empty);
    `listings`: those that are ads, with `seller`, `seller_kind` and a boolean per label;
    `texts`: the distinct ad texts with `score`, a boolean per label, `places`, `provinces`, `national`.
    """

    messages: pl.LazyFrame
    listings: pl.LazyFrame
    texts: pl.LazyFrame
    places: pl.LazyFrame
    """One row per ad text and place (see `places.find`)."""
    contacts: pl.LazyFrame
    """One row per account and handle in its own ads (see `given.contacts_of`)."""
    counts: Counter[str] = field(default_factory=Counter)
    """The bucket's part of the ledger, in messages."""
    drugs: pl.LazyFrame = field(default_factory=lambda: pl.LazyFrame(schema=drug_names.DRUGS))
    """One row per ad text and drug that it names (see `drug_names.find`)."""
    offers: pl.LazyFrame = field(default_factory=lambda: pl.LazyFrame(schema=prices.OFFERS))
    """One row per ad text and price (see `prices.find`)."""


def read_bucket(
    snapshot: corpus.Snapshot, bucket: int, model_id: str, selection: Selection, lost: pl.DataFrame
) -> Bucket:
    """The bucket's current messages, listings and ad texts; `lost` = what does not count (`versions.read_losers`)."""
    rows = pl.DataFrame(corpus.read_bucket(snapshot, bucket, _COLUMNS))
    current = rows.join(lost, on=["range_id", "source_offset"], how="anti")
    chosen = _selected(current, selection)
    scores = score.read_scores(snapshot, bucket, model_id)
    known = _labelled(scores, selection.thresholds)
    failed = score.failed_ids(snapshot, bucket, model_id).with_columns(has_failed=pl.lit(True))
    messages = _with_state(chosen, known, failed)
    texts = _ad_texts(snapshot, bucket, messages, known)
    found, regions = places.claims(texts.select("text_id", "text"))
    texts = texts.join(regions, on="text_id", how="left")
    listings = _listings(messages, texts)
    counts = Counter({row["state"]: row["len"] for row in messages.group_by("state").len().to_dicts()})
    counts.update(current=current.height, outside=current.height - chosen.height, listings=listings.height)
    given_contacts = given.contacts_of(listings, texts.select("text_id", "text"))
    drugs, offers = _drugs_and_offers(texts)
    return Bucket(
        messages.lazy(),
        listings.drop("links").lazy(),
        texts.lazy(),
        found.lazy(),
        given_contacts.lazy(),
        counts,
        drugs.lazy(),
        offers.lazy(),
    )


def _drugs_and_offers(texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Which drugs the ad texts name and what they ask for them, from one folding of each text."""
    ads = drug_names.plain_texts(texts.select("text_id", "text", *LABELS))
    named = drug_names.mentions(ads)
    return drug_names.drugs_of(named), prices.find(ads, named)


def _selected(messages: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """Messages in the chosen period and chats, with `local_time` on the clock of the corpus."""
    zone = ZoneInfo(selection.timezone)
    chosen = messages.lazy()
    if selection.since:
        chosen = chosen.filter(pl.col("sent_at") >= _midnight(selection.since, zone))
    if selection.until:
        chosen = chosen.filter(pl.col("sent_at") < _midnight(selection.until + timedelta(days=1), zone))
    if selection.chats:
        title, number = pl.col("chat_title").cast(pl.String), pl.col("chat_id").cast(pl.String)
        chosen = chosen.filter(title.is_in(selection.chats).fill_null(False) | number.is_in(selection.chats))
    local = pl.col("sent_at").dt.convert_time_zone(selection.timezone).dt.replace_time_zone(None)
    return chosen.with_columns(local_time=local).collect()


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins on the clock of the zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _labelled(scores: pl.DataFrame, thresholds: dict[str, float]) -> pl.DataFrame:
    """Scores with a boolean per label; a categoriser's label holds only on an ad, and not where it did not look."""
    if scores.width == 1:
        return pl.DataFrame(
            schema={"text_id": pl.Binary, "score": pl.Float32} | dict.fromkeys(("is_ad", *LABELS), pl.Boolean)
        )
    is_ad = pl.col(DETECTOR_LABEL) >= thresholds[DETECTOR_LABEL]
    labels = {label: is_ad & (pl.col(label) >= thresholds[label]).fill_null(False) for label in LABELS}
    return scores.select("text_id", score=DETECTOR_LABEL, is_ad=is_ad, **labels)


def _with_state(messages: pl.DataFrame, known: pl.DataFrame, failed: pl.DataFrame) -> pl.DataFrame:
    joined = messages.join(known.select("text_id", "is_ad"), on="text_id", how="left")
    joined = joined.join(failed, on="text_id", how="left")
    state = (
        pl.when(pl.col("text_id").is_null())
        .then(pl.lit("empty"))
        .when(pl.col("is_ad").is_not_null())
        .then(pl.lit("scored"))
        .when(pl.col("has_failed"))
        .then(pl.lit("failed"))
        .otherwise(pl.lit("pending"))
    )
    return joined.with_columns(state=state, is_ad=pl.col("is_ad").fill_null(False)).drop("has_failed")


def _ad_texts(snapshot: corpus.Snapshot, bucket: int, messages: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The distinct ad texts of the chosen messages, with score and labels, sorted by text_id."""
    wanted = messages.lazy().filter("is_ad").select("text_id").unique().collect()
    texts = pl.DataFrame(corpus.read_bucket(snapshot, bucket, ["text_id", "text"]))
    distinct = texts.lazy().join(wanted.lazy(), on="text_id", how="semi").unique("text_id", keep="any").collect()
    return distinct.join(known, on="text_id").drop("is_ad").sort("text_id")


def _listings(messages: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Messages that are ads, with who counts as their seller.

    A forward is a copy, not the forwarder's own ad; an anonymous admin is nobody.
    """
    own = ~pl.col("is_forward") & (pl.col("sender_kind").cast(pl.String) != "anonymous")
    ads = messages.lazy().filter("is_ad").drop("is_ad", "state", "edited_at")
    ads = ads.with_columns(
        seller=pl.when(own).then(pl.col("sender_id").cast(pl.String)),
        seller_kind=pl.when(own & pl.col("sender_id").is_not_null()).then(pl.col("sender_kind").cast(pl.String)),
        chat_title=pl.col("chat_title").cast(pl.String),
        peer_kind=pl.col("peer_kind").cast(pl.String),
    )
    return ads.join(texts.lazy().select("text_id", *LABELS), on="text_id", how="left").collect()
