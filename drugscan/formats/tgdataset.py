"""TGDataset: a file of about a thousand channels, keyed by id. Source: SystemsLab-Sapienza/TGDataset README.

It names no senders, so its statistics are per channel.
"""

from collections.abc import Mapping
from typing import Final

from drugscan.formats.fields import account, any_time, bare_id, flat_text, small_number, whole_number
from drugscan.formats.framing import Framed
from drugscan.formats.look import Head
from drugscan.formats.reading import Chat, Format, plan_json, read_json
from drugscan.schema import Item, Message


def _convert(value: Mapping[str, object], found: Framed, chat: Chat) -> Item:
    channel = small_number(found.path[0])
    number: int | str = found.path[0] if channel is None else bare_id(channel)
    sent_at, quality = any_time(value.get("date"))
    title, origin = chat.get("title"), small_number(value.get("forwarded_from_id"))
    author = account(value.get("author"))
    message_id = small_number(found.path[-1])
    return Message(
        offset=found.offset,
        peer_kind="other" if channel is None else "channel",
        chat_id=number,
        message_id=whole_number(value.get("message_id")) if message_id is None else message_id,
        chat_title=title if isinstance(title, str) else None,
        sender=author or f"channel:{number}",
        sender_kind="user" if author and author.startswith("user:") else "channel",
        sent_at=sent_at,
        time_quality=quality,
        is_forward=value.get("is_forwarded") is True,
        forwarded_from=None if origin is None else f"channel:{bare_id(origin)}",
        text=flat_text(value.get("message") or value.get("title")),
    )


def _sniff(head: Head) -> bool:
    return head.path[1:2] in (("text_messages",), ("generic_media",)) or any(
        len(key) == 2 and key[1] == "text_messages" for key in head.keys
    )


FORMAT: Final = Format(
    name="tgdataset",
    rank=1,
    expected="a file of TGDataset ({channel id: {text_messages: {}}})",
    sniff=_sniff,
    plan=plan_json("tgdataset"),
    read=read_json(_convert),
)
