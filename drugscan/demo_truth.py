"""The truth about a demo: which version of each message counts, and what every text is."""

from dataclasses import dataclass

import polars as pl

from drugscan.demo_exports import Chat, Row
from drugscan.demo_texts import Template
from drugscan.schema import LABELS
from drugscan.text import text_id


@dataclass(frozen=True)
class Part:
    """A chat's part of the truth: winning messages, the texts that occur, and counts of rows."""

    messages: pl.DataFrame
    texts: pl.DataFrame
    counts: dict[str, int]


@dataclass(frozen=True)
class Drawn:
    """A chat's messages: as first exported, and as exported again later (the overlap, with edits)."""

    chat: Chat
    first: list[Row]
    second: list[Row]
    texts: list[str]
    labelled: list[Template]


def truth_of(drawn: Drawn) -> Part:
    """Who wins among the versions of each message, and what every text that occurs is."""
    rows = drawn.first + drawn.second
    versions = pl.DataFrame(
        {
            "message_id": [row.id for row in rows],
            "edited": [row.edited for row in rows],
            "order": list(range(len(rows))),
            "kind": [row.kind for row in rows],
            "text": [row.text if row.kind == "text" else -1 for row in rows],
            "sender": [row.sender for row in rows],
            "sender_kind": [row.sender_kind for row in rows],
            "sent_at": [row.sent for row in rows],
            "is_forward": [row.forward for row in rows],
        },
        schema_overrides={"is_forward": pl.Boolean},
    )
    kept = versions.filter(pl.col("kind") != "service")
    private = drawn.chat.type == "personal_chat"
    ids = {index: text_id(drawn.texts[index]) for index in kept["text"].unique().to_list() if index >= 0}
    kept = kept.with_columns(text_id=pl.col("text").replace_strict(ids, default=None, return_dtype=pl.Binary))
    winners = kept.sort("message_id", "edited", "order").unique("message_id", keep="last", maintain_order=True)
    lost = kept.join(winners.select("message_id", winner="text_id", at="order"), on="message_id").filter(
        pl.col("order") != pl.col("at")
    )
    same = int(lost["text_id"].eq_missing(lost["winner"]).sum())
    counts = {
        "rows": len(rows),
        "service": versions.height - kept.height,
        "private": kept.height if private else 0,
        "kept": 0 if private else kept.height,
        "duplicates": 0 if private else same,
        "superseded": 0 if private else lost.height - same,
    }
    current = _named(winners, drawn.chat).clear() if private else _named(winners, drawn.chat)
    texts = [drawn.labelled[index] for index in ids]
    facts = _facts(texts) if not private else _facts([])
    return Part(current, facts, counts)


def _named(winners: pl.DataFrame, chat: Chat) -> pl.DataFrame:
    own = pl.col("sender_kind").is_in(["channel", "anonymous"])
    account = pl.when(own).then(pl.lit(f"channel:{chat.id}")).otherwise(pl.format("user:{}", "sender"))
    return winners.select(
        peer_kind=pl.lit(chat.peer_kind),
        chat_id=pl.lit(chat.id, pl.Int64),
        message_id=pl.col("message_id").cast(pl.Int64),
        sender=account,
        sender_kind=pl.col("sender_kind").replace("deleted", "user"),
        sent_at=pl.from_epoch("sent_at", "s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        text_id="text_id",
        is_forward="is_forward",
    )


def _facts(texts: list[Template]) -> pl.DataFrame:
    schema = {"text_id": pl.Binary, "text": pl.String, "drugsad": pl.Boolean, "national": pl.Boolean} | {
        name: pl.List(pl.String) for name in ("labels", "places", "provinces")
    }
    rows = [_fact(text) for text in texts]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _fact(template: Template) -> dict[str, object]:
    """A template as a row of truth/texts.parquet."""
    ordered = [label for label in LABELS if label in template.labels]
    return {
        "text_id": text_id(template.text),
        "text": template.text,
        "drugsad": template.drugsad,
        "national": template.national,
        "labels": ordered,
        "places": template.places,
        "provinces": template.provinces,
    }
