"""One message of Telegram Desktop's `result.json`, from its keys.

Source of the fields: telegramdesktop/tdesktop, export_output_json.cpp.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from drugscan.formats.fields import (
    BadTime,
    BadValue,
    account,
    any_time,
    as_dict,
    as_list,
    flat_text,
    lines,
    maybe_time,
    named,
    small_number,
    unix_time,
    whole_number,
)
from drugscan.formats.framing import Framed
from drugscan.formats.reading import Chat
from drugscan.schema import Item, Message, PeerKind, SenderKind, Service, TimeQuality

_PRIVATE: Final = {"personal_chat", "bot_chat", "saved_messages", "replies", "verification_codes"}
_SHIFT_CHANNEL: Final = 1 << 33
_SHIFT_GROUP: Final = 1 << 32
"""Before 2021 numeric sender ids carried their kind above bit 32; no user id was as large then."""


class Fields(msgspec.Struct, gc=False):
    """The keys of a message that matter here; of any type, since programs disagree."""

    id: object = None
    type: object = None
    date: object = None
    date_unixtime: object = None
    edited: object = None
    edited_unixtime: object = None
    from_: object = msgspec.field(default=None, name="from")
    from_id: object = None
    forwarded_from: object = msgspec.UNSET
    text: object = ""
    inline_bot_buttons: object = None
    poll: object = None
    contact_information: object = None
    todo_list: object = None


FIELDS: Final = msgspec.json.Decoder(Fields)


class Peer(msgspec.Struct, frozen=True):
    """The chat of the messages that follow."""

    kind: PeerKind
    id: int | str
    title: str | None
    broadcast: bool


def peer(chat: Mapping[str, object]) -> Peer:
    """The chat by its keys name, type and id.

    Raises `BadValue` when it has neither id nor name, or no type: it may be a private one.
    """
    kind, number = chat.get("type"), small_number(chat.get("id"))
    title = chat.get("name") if isinstance(chat.get("name"), str) else None
    if kind in _PRIVATE:
        return Peer("user", abs(number or 0), str(title) if title else None, False)
    if not isinstance(kind, str):
        raise BadValue("the chat has no type, or it stands behind its messages")
    if number is None:
        if not title:
            raise BadValue("the chat has neither id nor name")
        return Peer("other", str(title), str(title), False)
    peer_kind: PeerKind = "group" if kind == "private_group" else "channel"
    broadcast = kind.endswith("_channel")
    return Peer(peer_kind, abs(number), str(title) if title else None, broadcast)


def message(fields: Fields, offset: int, chat: Peer) -> Item:
    """One message; raises `BadTime` or `BadValue`."""
    if fields.type in ("service", "unsupported"):  # an unsupported message has an id and nothing else
        return Service(offset)
    sent_at, quality = _sent_at(fields)
    sender, sender_kind = _sender(fields, chat)
    text, links = fields.text, []
    if not isinstance(text, str):
        links = [href for part in as_list(text) if isinstance(href := as_dict(part).get("href"), str)]
        text = flat_text(text)
    if fields.inline_bot_buttons or fields.poll or fields.contact_information or fields.todo_list:
        text, links = _extras(fields, text, links)
    number = whole_number(fields.id)
    edited = fields.edited_unixtime or fields.edited
    found = Message(
        offset=offset,
        peer_kind=chat.kind,
        chat_id=chat.id,
        message_id=number if number is None or number >= 0 else None,
        chat_title=chat.title,
        sender=sender,
        sender_kind=sender_kind,
        sent_at=sent_at,
        time_quality=quality,
        edited_at=maybe_time(edited) if edited else None,
        text=text,
    )
    if links:
        found.links = links
    if fields.forwarded_from is not msgspec.UNSET:
        found.is_forward, found.forwarded_from = True, named(fields.forwarded_from)
    return found


def _sent_at(fields: Fields) -> tuple[int, TimeQuality]:
    if fields.date_unixtime is not None:
        try:
            return unix_time(fields.date_unixtime), "unix"
        except BadTime:
            pass
    return any_time(fields.date)


def _sender(fields: Fields, chat: Peer) -> tuple[str | None, SenderKind]:
    """Who posts: the channel itself, a user, or an admin who hides behind the group."""
    value = fields.from_id
    if isinstance(value, int) and value >= _SHIFT_GROUP:
        value = f"channel{value - _SHIFT_CHANNEL}" if value >= _SHIFT_CHANNEL else f"chat{value - _SHIFT_GROUP}"
    sender = account(value) or named(fields.from_)
    if sender and sender.startswith("user:"):
        return sender, "user"
    own = f"channel:{chat.id}"
    if chat.broadcast:
        return own, "channel"
    if sender in (own, f"chat:{chat.id}"):
        return own, "anonymous"
    return sender, "channel" if sender and sender.startswith("channel:") else "unknown"


def _extras(fields: Fields, text: str, links: list[str]) -> tuple[str, list[str]]:
    """Text with what stands outside it: poll, contact, list of things to do, buttons; and the buttons' targets."""
    poll, contact, todo = as_dict(fields.poll), as_dict(fields.contact_information), as_dict(fields.todo_list)
    parts = [text, flat_text(poll.get("question"))]
    parts += [flat_text(as_dict(answer).get("text")) for answer in as_list(poll.get("answers"))]
    name = " ".join(flat_text(contact.get(key)) for key in ("first_name", "last_name"))
    parts += [name.strip(), flat_text(contact.get("phone_number")), flat_text(todo.get("title"))]
    parts += [flat_text(as_dict(entry).get("text")) for entry in as_list(todo.get("answers") or todo.get("items"))]
    for row in as_list(fields.inline_bot_buttons):
        for button in (as_dict(each) for each in as_list(row)):
            parts.append(flat_text(button.get("text")))
            if isinstance(data := button.get("data"), str) and "://" in data:
                links = [*links, data]
    return lines(*parts), links


def convert(value: Mapping[str, object], found: Framed, chat: Chat) -> Item:
    """One decoded message and the keys of its chat as item; raises `BadTime` or `BadValue`."""
    return message(msgspec.convert(value, Fields), found.offset, peer(chat))
