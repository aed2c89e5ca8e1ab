"""The words and the data contracts: what a message, a score, a listing and a ledger look like.

Everything that drugscan writes to disk has its Arrow schema here and is checked against it at the write.
Nothing in this module reads or writes anything.
"""

from typing import Final, Literal

import msgspec
import pyarrow as pa

DETECTOR_LABEL: Final = "drugsad"
LABELS: Final = ("softdrugs", "harddrugs", "designer", "medicijnen", "bezorging", "pickup", "post", "bulk")
"""The eight labels of the categoriser, in the order of every score file."""
KIND_LABELS: Final = LABELS[:4]
DELIVERY_LABELS: Final = LABELS[4:]

PeerKind = Literal["channel", "group", "user", "other"]
SenderKind = Literal["user", "channel", "anonymous", "unknown"]
TimeQuality = Literal["unix", "zoned", "assumed"]

REJECT_REASONS: Final = (
    "broken_json",  # one object that no repair made readable
    "truncated",  # the file ends inside an object
    "not_an_object",  # a value where a message was expected
    "missing_field",  # no chat, or no field that the format cannot do without
    "bad_time",  # no time, or one that cannot be read
    "bad_value",  # a field of a type or size that cannot be meant
    "bad_encoding",  # bytes that are not text in the encoding of the file
    "too_large",  # one object or line over the limit
    "read_failed",  # the file could not be read further: a damaged archive
)


class Message(msgspec.Struct, gc=False, kw_only=True):
    """One Telegram message as a reader yields it, before hashing and pseudonyms.

    Ids are made equal over formats: chat ids are bare and positive (no -100 prefix), senders carry their
    number space (`user:123`, `channel:45`, `name:Piet` where only a display name is known).
    """

    offset: int
    """First byte of the message in the decompressed member; the row number (from 0) for CSV and Parquet."""
    peer_kind: PeerKind
    """`channel` = channel or supergroup, `group` = basic group, `user` = personal, bot or saved chat (private)."""
    chat_id: int | str
    """Bare id; a text id (only with `peer_kind` other) is hashed at ingest."""
    message_id: int | None = None
    chat_title: str | None = None
    sender: str | None = None
    sender_kind: SenderKind = "unknown"
    sent_at: int
    """Microseconds since 1970 in UTC; on the local clock of the export when `time_quality` is `assumed`."""
    time_quality: TimeQuality
    edited_at: int | None = None
    """As `sent_at`; null when never edited."""
    is_forward: bool = False
    forwarded_from: str | None = None
    views: int | None = None
    text: str = ""
    """What a reader of the chat sees: text or caption, poll, contact, button labels (raw, not canonical)."""
    links: list[str] = []
    """Targets that are not visible in `text`: `text_link` hrefs, button URLs."""


class Reject(msgspec.Struct, gc=False):
    """What could not be read. `detail` holds the parser's words, never the message."""

    offset: int
    reason: str
    detail: str = ""


class Service(msgspec.Struct, gc=False):
    """A notice of Telegram's own (joined, pinned, ...): counted, not kept."""

    offset: int


Item = Message | Reject | Service
"""What a reader yields: each carries its offset, so that it falls into one range."""


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The unit of ingest: a stretch of about 64 MiB of one input, and what is needed to read it by itself."""

    source: str
    """Path or URL as given; a member of an archive as `path.zip!member`."""
    identity: str
    """Digest of what the source holds (size + BLAKE2b, or size + ETag): another content, another identity."""
    format: str
    """A key of `formats.FORMATS`."""
    start: int
    end: int | None
    """Offsets of the decompressed input. `end` is null for a sequential stream: it is read to its end."""
    context: dict[str, object]
    """What the reader must know that does not stand in the stretch itself (chat, encoding, columns); JSON."""


_TIME = pa.timestamp("us", tz="UTC")
TEXT_ID = pa.binary(16)
_NAME = pa.dictionary(pa.int32(), pa.string())

MESSAGES: Final = pa.schema(
    [
        pa.field("peer_kind", _NAME, nullable=False),
        pa.field("chat_id", pa.int64(), nullable=False),
        pa.field("message_id", pa.int64()),
        pa.field("chat_title", _NAME),
        pa.field("sender_id", _NAME),
        pa.field("sender_kind", _NAME, nullable=False),
        pa.field("sent_at", _TIME, nullable=False),
        pa.field("time_quality", _NAME, nullable=False),
        pa.field("edited_at", _TIME),
        pa.field("is_forward", pa.bool_(), nullable=False),
        pa.field("forwarded_from", _NAME),
        pa.field("views", pa.int32()),
        pa.field("text", pa.string()),
        pa.field("text_id", TEXT_ID),
        pa.field("bucket", pa.int16(), nullable=False),
        pa.field("links", pa.list_(pa.string())),
        pa.field("source", _NAME, nullable=False),
        pa.field("source_offset", pa.int64(), nullable=False),
        pa.field("range_id", pa.int64(), nullable=False),
    ]
)
"""`messages/*.parquet`. Without text `text` and `text_id` are null. `bucket` = the first 15 bits of
`text_id` (of the message's key where there is no text). `range_id` + `source_offset` name a row."""

KEYS: Final = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("edited_at", _TIME),
        pa.field("rank", pa.int8(), nullable=False),
        pa.field("source", _NAME, nullable=False),
        pa.field("source_offset", pa.int64(), nullable=False),
        pa.field("range_id", pa.int64(), nullable=False),
        pa.field("text_id", TEXT_ID),
        pa.field("dedupable", pa.bool_(), nullable=False),
    ]
)
"""`keys/*.parquet`, sorted by key: who is a copy or an older version of whom is decided from these alone."""

REJECTS: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_offset", pa.int64(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


def scores_schema(labels: tuple[str, ...]) -> pa.Schema:
    """Schema of `scores/model=*/*.parquet`: one row per text, one float32 per label (null below the gate).

    `tokens` is null for a model that counts none (linear); `truncated` says that the model saw only a beginning.
    """
    return pa.schema(
        [
            pa.field("text_id", TEXT_ID, nullable=False),
            *(pa.field(label, pa.float32()) for label in labels),
            pa.field("tokens", pa.int32()),
            pa.field("truncated", pa.bool_(), nullable=False),
        ]
    )


def check(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly this schema; raises `ValueError` naming the columns that differ."""
    if table.schema.names != schema.names:
        difference = set(table.schema.names) ^ set(schema.names)
        raise ValueError(f"columns do not fit the contract: {sorted(difference) or table.schema.names}")
    table = table.cast(schema)
    empty = [field.name for field in schema if not field.nullable and table[field.name].null_count]
    if empty:
        raise ValueError(f"null in columns that must not hold any: {empty}")
    return table
