"""Messages as Telethon dumps them: `to_dict`/`to_json`, `default=str`, the ndjson of Pushshift, and 4CAT's NDJSON.

They differ in the class key (`_` or `_type`), in how dates are spelled, and in what old versions called the peer.
Sources: LonamiWebs/Telethon (api.tl, tlobject.py), pushshift/telegram, digitalmethodsinitiative/4cat.
"""

from collections.abc import Mapping
from typing import Final

from drugscan.formats.fields import (
    BadValue,
    account,
    any_time,
    as_dict,
    as_list,
    bare_id,
    flat_text,
    lines,
    maybe_time,
    named,
    small_number,
    whole_number,
)
from drugscan.formats.framing import Framed
from drugscan.formats.look import Head
from drugscan.formats.reading import Chat, Format, plan_json, read_json
from drugscan.schema import Item, Message, PeerKind, SenderKind, Service

_PEER_KEYS: Final[tuple[tuple[str, PeerKind], ...]] = (
    ("channel_id", "channel"),
    ("chat_id", "group"),
    ("user_id", "user"),
)
_ACCOUNT: Final = {"channel": "channel", "group": "chat", "user": "user"}


def class_name(value: object) -> str:
    """The Telegram class of an object: `_` in Telethon, `_type` in 4CAT."""
    found = as_dict(value)
    return str(found.get("_") or found.get("_type") or "")


def peer(value: object) -> tuple[PeerKind, int] | None:
    """Kind and bare id of a peer object; null when it is none."""
    found = as_dict(value)
    for key, kind in _PEER_KEYS:
        number = small_number(found.get(key))
        if number is not None:
            return kind, bare_id(number)
    return None


def peer_account(value: object) -> str | None:
    """A peer object, or in old dumps a bare user id, as account."""
    found = peer(value)
    return f"{_ACCOUNT[found[0]]}:{found[1]}" if found else account(value) if not isinstance(value, dict) else None


def convert(value: Mapping[str, object], found: Framed, chat: Chat) -> Item:
    """One Telethon object as item; raises `BadTime` or `BadValue`."""
    kind = class_name(value)
    if kind in ("MessageService", "MessageEmpty") or (not kind and value.get("action")):
        return Service(found.offset)
    where = peer(value.get("peer_id")) or peer(value.get("to_id")) or _peer_of_chat(value)
    if where is None:
        raise BadValue("no peer_id, to_id or _chat")
    sent_at, quality = any_time(value.get("date"))
    text, links = _text(value)
    sender, sender_kind = _sender(value, where)
    forward = value.get("fwd_from")
    message = Message(
        offset=found.offset,
        peer_kind=where[0],
        chat_id=where[1],
        message_id=whole_number(value.get("id")),
        chat_title=_title(value, chat),
        sender=sender,
        sender_kind=sender_kind,
        sent_at=sent_at,
        time_quality=quality,
        edited_at=maybe_time(value.get("edit_date")),
        is_forward=bool(forward),
        forwarded_from=_forwarded_from(as_dict(forward)),
        views=small_number(value.get("views")),
        text=text,
        links=links,
    )
    return message


def _peer_of_chat(value: Mapping[str, object]) -> tuple[PeerKind, int] | None:
    chat = as_dict(value.get("_chat"))
    number = small_number(chat.get("id"))
    if number is None:
        return None
    return ("group" if class_name(chat) == "Chat" else "user" if class_name(chat) == "User" else "channel"), bare_id(
        number
    )


def _title(value: Mapping[str, object], chat: Chat) -> str | None:
    title = as_dict(value.get("_chat")).get("title") or chat.get("title") or chat.get("name")
    return title if isinstance(title, str) else None


def _sender(value: Mapping[str, object], where: tuple[PeerKind, int]) -> tuple[str | None, SenderKind]:
    """Null `from_id` in a channel: the channel itself where it is a post, else an admin who stays anonymous."""
    sender = peer_account(value.get("from_id"))
    if sender and sender.startswith("user:"):
        return sender, "user"
    own = f"channel:{where[1]}"
    if where[0] == "channel" and (sender is None or sender == own):
        return own, "channel" if value.get("post") else "anonymous"
    if where[0] == "user" and sender is None and not value.get("out"):
        return f"user:{where[1]}", "user"
    return sender, "channel" if sender and sender.startswith("channel:") else "unknown"


def _forwarded_from(forward: Mapping[str, object]) -> str | None:
    old = small_number(forward.get("channel_id"))
    return peer_account(forward.get("from_id")) or (
        f"channel:{bare_id(old)}" if old else named(forward.get("from_name"))
    )


def _text(value: Mapping[str, object]) -> tuple[str, list[str]]:
    """Message text with poll, contact and buttons; targets of links and buttons."""
    links = [str(each["url"]) for each in map(as_dict, as_list(value.get("entities"))) if each.get("url")]
    media = as_dict(value.get("media"))
    parts = [flat_text(value.get("message", value.get("text")))]
    if poll := as_dict(media.get("poll")):
        parts.append(flat_text(poll.get("question")))
        parts += [flat_text(as_dict(answer).get("text")) for answer in as_list(poll.get("answers"))]
    if media.get("phone_number"):
        parts.append(" ".join(flat_text(media.get(key)) for key in ("first_name", "last_name")).strip())
        parts.append(flat_text(media.get("phone_number")))
    for row in as_list(as_dict(value.get("reply_markup")).get("rows")):
        for button in map(as_dict, as_list(as_dict(row).get("buttons"))):
            parts.append(flat_text(button.get("text")))
            links += [str(button["url"])] if button.get("url") else []
    return lines(*parts), links


def _sniff(head: Head) -> bool:
    first = head.first
    if str(first.get("_", "")) in ("Message", "MessageService", "MessageEmpty"):
        return True
    return bool(peer(first.get("peer_id")) or peer(first.get("to_id"))) and "_type" not in first


def _sniff_fourcat(head: Head) -> bool:
    return str(head.first.get("_type", "")).startswith("Message") or "4CAT_metadata" in head.first


FORMAT: Final = Format(
    name="telethon",
    rank=4,
    expected="messages dumped by Telethon or Pushshift (a JSON array, {messages: []}, or a line each)",
    sniff=_sniff,
    plan=plan_json("telethon"),
    read=read_json(convert),
)
FOURCAT: Final = Format(
    name="fourcat",
    rank=4,
    expected="4CAT's Telegram NDJSON",
    sniff=_sniff_fourcat,
    plan=plan_json("fourcat"),
    read=read_json(convert),
)
