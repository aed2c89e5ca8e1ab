"""Messages as Arrow columns: canonical text, pseudonyms, times in UTC, keys and buckets."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from drugscan import formats
from drugscan.schema import KEYS, MESSAGES, Message, Range, check
from drugscan.text import canonical, text_id

_VIEWS_LIMIT: Final = 2**31 - 1
_KIND_CODES: Final = {"channel": 0, "group": 1, "user": 2, "other": 3}
_PER_ACCOUNT: Final = ("group", "user")
"""Kinds whose ids every account counts by itself: the same number in two exports is another message."""


def tables(
    messages: Sequence[Message], range_: Range, digest: str, timezone: str, pseudonym_key: bytes
) -> tuple[pa.Table, pa.Table]:
    """Messages as Arrow tables by the contracts `MESSAGES` (sorted by bucket and text id) and `KEYS` (by key)."""
    offsets = np.array([m.offset for m in messages], np.int64)
    text, ids = _texts(messages)
    times, edits = _times(messages, timezone)
    chat_ids = np.array([_chat_number(m.chat_id) for m in messages], np.int64)
    message_ids = pa.array([m.message_id for m in messages], pa.int64())
    keys = message_keys(messages, chat_ids, range_)
    range_id = int.from_bytes(bytes.fromhex(digest[:16]), "big", signed=True)
    pseudonyms = _Pseudonyms(pseudonym_key)
    columns: dict[str, object] = {
        "peer_kind": _names([m.peer_kind for m in messages]),
        "chat_id": chat_ids,
        "message_id": message_ids,
        "chat_title": _names([m.chat_title for m in messages]),
        "sender_id": _names([pseudonyms.of(m.sender) for m in messages]),
        "sender_kind": _names([m.sender_kind for m in messages]),
        "sent_at": times,
        "time_quality": _names([m.time_quality for m in messages]),
        "edited_at": edits,
        "is_forward": pa.array([m.is_forward for m in messages], pa.bool_()),
        "forwarded_from": _names([pseudonyms.of(m.forwarded_from) for m in messages]),
        "views": pa.array([_views(m.views) for m in messages], pa.int32()),
        "text": text,
        "text_id": ids,
        "bucket": fine_buckets(ids, keys),
        "links": pa.array([m.links for m in messages], pa.list_(pa.string())),
        "source": _constant(range_.source, len(messages)),
        "source_offset": offsets,
        "range_id": np.full(len(messages), range_id, np.int64),
    }
    table = check(pa.table(columns), MESSAGES)
    rank = np.full(len(messages), formats.FORMATS[range_.format].rank, np.int8)
    extra = {"key": keys, "rank": rank, "dedupable": pa.array([m.message_id is not None for m in messages], pa.bool_())}
    for name, column in extra.items():
        table = table.append_column(name, column if isinstance(column, pa.Array) else pa.array(column))
    key_table = check(table.select(KEYS.names), KEYS).sort_by("key")
    return table.sort_by([("bucket", "ascending"), ("text_id", "ascending")]).select(MESSAGES.names), key_table


def _texts(messages: Sequence[Message]) -> tuple[pa.Array, pa.Array]:
    """Canonical texts and their ids; an ad that stands a thousand times in a range is folded and hashed once."""
    known: dict[str, tuple[str | None, bytes | None]] = {"": (None, None)}
    pairs = []
    for message in messages:
        pair = known.get(message.text)
        if pair is None:
            text = canonical(message.text)
            pair = known[message.text] = (text, text_id(text)) if text else (None, None)
        pairs.append(pair)
    texts = pa.array([pair[0] for pair in pairs], pa.string())
    return texts, pa.array([pair[1] for pair in pairs], pa.binary(16))


def _times(messages: Sequence[Message], timezone: str) -> tuple[pa.Array, pa.Array]:
    """`sent_at` and `edited_at` in UTC; bare times are read on the clock of `timezone`.

    An hour that occurs twice is taken the first time; one that a clock skipped is moved on by an hour.
    """
    frame = pl.DataFrame(
        {
            "sent": pl.Series([m.sent_at for m in messages], dtype=pl.Int64),
            "edited": pl.Series([m.edited_at for m in messages], dtype=pl.Int64),
            "assumed": [m.time_quality == "assumed" for m in messages],
        },
        schema_overrides={"assumed": pl.Boolean},
    )
    local = {name: _localised(pl.col(name).cast(pl.Datetime("us")), timezone) for name in ("sent", "edited")}
    utc = {name: pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") for name in ("sent", "edited")}
    result = frame.select(**{name: pl.when("assumed").then(local[name]).otherwise(utc[name]) for name in local})
    return result["sent"].to_arrow(), result["edited"].to_arrow()


def _localised(naive: pl.Expr, timezone: str) -> pl.Expr:
    def read(expression: pl.Expr) -> pl.Expr:
        return expression.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")

    return read(naive).fill_null(read(naive + pl.duration(hours=1))).dt.convert_time_zone("UTC")


class _Pseudonyms:
    """Keyed pseudonyms of account ids and names: 16 hex digits, the same for an account in every run of a corpus."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str | None, str | None] = {None: None}

    def of(self, account: str | None) -> str | None:
        if account not in self._known and account is not None:
            self._known[account] = pseudonym(account, self._key)
        return self._known[account]


def pseudonym(account: str, key: bytes) -> str:
    """Keyed BLAKE2b (RFC 7693) of an account such as `user:123`, as 16 hex digits."""
    return blake2b(account.encode(errors="replace"), digest_size=8, key=key).hexdigest()


def _chat_number(chat_id: int | str) -> int:
    """The chat id itself, or a 63-bit hash of an id that is text."""
    if isinstance(chat_id, int):
        return chat_id
    return int.from_bytes(blake2b(chat_id.encode(errors="replace"), digest_size=8).digest(), "big") >> 1


def message_keys(messages: Sequence[Message], chat_ids: npt.NDArray[np.int64], range_: Range) -> npt.NDArray[np.uint64]:
    """64-bit key of each message: peer kind, chat and message id.

    Ids of basic groups and personal chats count per account, so the source goes into their keys; a message
    without an id is told by (content of the source, offset). Two of 10^9 messages share a key with probability
    3 % (birthday bound of 64 bits).
    """
    kinds = np.array([_KIND_CODES[m.peer_kind] for m in messages], np.uint64)
    numbers = np.array([m.offset if m.message_id is None else m.message_id for m in messages], np.int64)
    here, content = _hash64(range_.source), _hash64(range_.identity)
    salts = [content if m.message_id is None else here if m.peer_kind in _PER_ACCOUNT else 0 for m in messages]
    key = _mix(np.array(salts, np.uint64) ^ (kinds + np.uint64(1)))
    key = _mix(key ^ chat_ids.astype(np.uint64))
    return _mix(key ^ numbers.astype(np.uint64))


def _hash64(value: str) -> int:
    return int.from_bytes(blake2b(value.encode(errors="replace"), digest_size=8).digest(), "big")


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection that spreads every bit."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def fine_buckets(ids: pa.Array, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int16]:
    """First 15 bits of the text id, or of the key where there is no text."""
    filled = ids.fill_null(bytes(16))
    raw = np.frombuffer(filled.buffers()[1], np.uint8, count=16 * len(ids)).reshape(-1, 16) if len(ids) else None
    if raw is None:
        return np.empty(0, np.int16)
    by_text = (raw[:, 0].astype(np.uint16) << 7) | (raw[:, 1] >> 1)
    missing = np.asarray(ids.is_null())
    return np.where(missing, (keys >> np.uint64(49)).astype(np.uint16), by_text).astype(np.int16)


def _views(views: int | None) -> int | None:
    return views if views is not None and 0 <= views <= _VIEWS_LIMIT else None


def _names(values: Iterable[str | None]) -> pa.Array:
    return pa.array(list(values), pa.string()).dictionary_encode()


def _constant(value: str, length: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(length, np.int32)), pa.array([value]))
