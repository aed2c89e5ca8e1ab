"""Exports of tdl, plain and `--raw` (Go structs by field name). Source: iyear/tdl app/chat/export.go, gotd/td."""

from collections.abc import Mapping
from typing import Final

from drugscan.formats.fields import (
    BadValue,
    any_time,
    as_dict,
    as_list,
    bare_id,
    flat_text,
    lines,
    small_number,
    unix_time,
    whole_number,
)
from drugscan.formats.framing import Framed
from drugscan.formats.look import Head
from drugscan.formats.reading import Chat, Format, plan_json, read_json
from drugscan.schema import Item, Message, PeerKind, SenderKind, Service

_PEERS: Final[tuple[tuple[str, PeerKind, str], ...]] = (
    ("ChannelID", "channel", "channel"),
    ("ChatID", "group", "chat"),
    ("UserID", "user", "user"),
)


def _peer(value: object) -> tuple[PeerKind, str, int] | None:
    found = as_dict(value)
    for key, kind, prefix in _PEERS:
        if number := small_number(found.get(key)):
            return kind, prefix, bare_id(number)
    return None


def _convert(value: Mapping[str, object], found: Framed, chat: Chat) -> Item:
    if value.get("type") == "service":
        return Service(found.offset)
    number = small_number(chat.get("id"))
    raw = as_dict(value.get("raw"))
    if raw:
        return _raw(raw, found.offset, number)
    if number is None:
        raise BadValue("no chat id before the messages")
    sent_at, quality = any_time(value.get("date"))
    return Message(
        offset=found.offset,
        peer_kind="channel",
        chat_id=bare_id(number),
        message_id=whole_number(value.get("id")),
        sent_at=sent_at,
        time_quality=quality,
        text=flat_text(value.get("text")),
    )


def _raw(raw: Mapping[str, object], offset: int, chat: int | None) -> Item:
    if raw.get("Action"):
        return Service(offset)
    where = _peer(raw.get("PeerID")) or (("channel", "channel", bare_id(chat)) if chat is not None else None)
    if where is None:
        raise BadValue("neither PeerID nor a chat id")
    sender, sender_kind = _sender(raw, where)
    forward = as_dict(raw.get("FwdFrom"))
    source = _peer(forward.get("FromID"))
    is_forward = bool(small_number(forward.get("Date")))
    edited = small_number(raw.get("EditDate"))
    text, links = _text(raw)
    return Message(
        offset=offset,
        peer_kind=where[0],
        chat_id=where[2],
        message_id=whole_number(raw.get("ID")),
        sender=sender,
        sender_kind=sender_kind,
        sent_at=unix_time(raw.get("Date")),
        time_quality="unix",
        edited_at=unix_time(edited) if edited else None,
        is_forward=is_forward,
        forwarded_from=_origin(source, forward) if is_forward else None,
        views=small_number(raw.get("Views")) or None,
        text=text,
        links=links,
    )


def _origin(source: tuple[PeerKind, str, int] | None, forward: Mapping[str, object]) -> str | None:
    if source:
        return f"{source[1]}:{source[2]}"
    name = forward.get("FromName")
    return f"name:{name}" if isinstance(name, str) and name else None


def _sender(raw: Mapping[str, object], where: tuple[PeerKind, str, int]) -> tuple[str | None, SenderKind]:
    sender = _peer(raw.get("FromID"))
    if sender and sender[0] == "user":
        return f"user:{sender[2]}", "user"
    if where[0] == "channel" and (sender is None or sender == where):
        return f"channel:{where[2]}", "channel" if raw.get("Post") else "anonymous"
    return (f"{sender[1]}:{sender[2]}", "channel") if sender else (None, "unknown")


def _text(raw: Mapping[str, object]) -> tuple[str, list[str]]:
    links = [str(each["URL"]) for each in map(as_dict, as_list(raw.get("Entities"))) if each.get("URL")]
    parts = [flat_text(raw.get("Message"))]
    for row in as_list(as_dict(raw.get("ReplyMarkup")).get("Rows")):
        for button in map(as_dict, as_list(as_dict(row).get("Buttons"))):
            parts.append(flat_text(button.get("Text")))
            links += [str(button["URL"])] if button.get("URL") else []
    return lines(*parts), links


def _sniff(head: Head) -> bool:
    if head.layout != "json" or ("messages",) not in head.keys or ("type",) in head.keys:
        return False
    return ("id",) in head.keys and (
        not head.first or isinstance(head.first.get("date", 0), int) or "raw" in head.first
    )


FORMAT: Final = Format(
    name="tdl",
    rank=2,
    expected="an export of tdl ({id, messages: []}; best with --all --raw, which keep sender and edits)",
    sniff=_sniff,
    plan=plan_json("tdl"),
    read=read_json(_convert),
)
