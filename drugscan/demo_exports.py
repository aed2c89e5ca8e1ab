"""The demo's exports, written as the programs write them: Telegram Desktop, Telethon, tdl (raw) and 4CAT (CSV)."""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO

import polars as pl
import zstandard


class Chat(NamedTuple):
    """One chat of the demo."""

    number: int
    id: int
    title: str
    type: str
    """As in Telegram Desktop: public_supergroup, public_channel, private_group, personal_chat."""

    @property
    def peer_kind(self) -> str:
        """The kind of its ids."""
        return {"private_group": "group", "personal_chat": "user"}.get(self.type, "channel")


class Row(NamedTuple):
    """One message as it is exported; times in unix seconds."""

    id: int
    sent: int
    local: str
    edited: int
    edited_local: str
    kind: str
    """text, empty or service."""
    text: int
    sender: int
    sender_kind: str
    """user, deleted, channel or anonymous."""
    forward: bool


ZONE: Final = "Europe/Amsterdam"
_SPANS: Final = re.compile(r"@\w{4,}|https?://\S+")
_INDENT: Final = {1: "   ", 4: "      "}
_NAMES: Final = ("Sam", "Robin", "Noor", "Daan", "Lotte", "Bram", "Femke", "Joris", "Sanne", "Teun", "Iris", "Koen")


def local_times(seconds: pl.Series) -> pl.Series:
    """Unix seconds as Telegram Desktop writes them: local time without a zone."""
    moments = pl.from_epoch(seconds, "s").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%S")


def display_name(sender: int) -> str:
    """A made-up name that belongs to an account number."""
    return f"{_NAMES[sender % len(_NAMES)]} {sender % 9973}"


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A text file for writing, packed as its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zst":
        with (
            path.open("wb") as raw,
            zstandard.ZstdCompressor(3).stream_writer(raw) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
        ):
            yield file
    elif path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as file:
            yield file
    else:
        with path.open("w", encoding="utf-8", newline="", buffering=1 << 20) as file:
            yield file


def write_chats(path: Path, format_name: str, chats: list[tuple[Chat, list[Row], list[str]]]) -> None:
    """Write one export. Several chats in one file only for Telegram Desktop (a full export)."""
    with opened(path) as file:
        if format_name == "desktop":
            _write_desktop(file, chats)
        else:
            for chat, rows, texts in chats:
                WRITERS[format_name](file, chat, rows, texts)


# --- Telegram Desktop -------------------------------------------------------------------------------------------


def _write_desktop(file: TextIO, chats: list[tuple[Chat, list[Row], list[str]]]) -> None:
    if len(chats) == 1:
        _desktop_chat(file, *chats[0], indent=1)
        return
    file.write('{\n "about": "Export of an account, made for the demo",\n "contacts": {\n  "about": "",\n  "list": [\n')
    file.write('   {\n    "first_name": "Demo",\n    "phone_number": "0031600000000"\n   }\n  ]\n },\n')
    file.write(' "chats": {\n  "about": "",\n  "list": [\n')
    for index, (chat, rows, texts) in enumerate(chats):
        file.write("   ")
        _desktop_chat(file, chat, rows, texts, indent=4)
        file.write(",\n" if index < len(chats) - 1 else "\n")
    file.write("  ]\n }\n}")


def _desktop_chat(file: TextIO, chat: Chat, rows: list[Row], texts: list[str], indent: int) -> None:
    one = " " * indent
    keys = (f'"name": {_quoted(chat.title)}', f'"type": "{chat.type}"', f'"id": {chat.id}', '"messages": [')
    head = "{\n" + ",\n".join(one + key for key in keys)
    file.write(head)
    fragments: dict[int, str] = {}
    inner = " " * (indent + 2)
    for number, row in enumerate(rows):
        file.write("\n" if number == 0 else ",\n")
        file.write(_desktop_message(chat, row, _text_fragment(row, texts, fragments, inner), inner))
    file.write(f"\n{one}]\n{one[1:]}}}")


def _text_fragment(row: Row, texts: list[str], known: dict[int, str], inner: str) -> str:
    """The keys `text` and `text_entities`; an ad's are rendered once."""
    if row.kind != "text":
        return f'{inner}"text": "",\n{inner}"text_entities": []'
    if row.text not in known:
        parts = _entities(texts[row.text])
        mixed: object = texts[row.text]
        if len(parts) > 1 or parts[0]["type"] != "plain":
            mixed = [part["text"] if part["type"] == "plain" else part for part in parts]
        lines = json.dumps({"text": mixed, "text_entities": parts}, ensure_ascii=False, indent=1).split("\n")[1:-1]
        known[row.text] = "\n".join(inner + line[1:] for line in lines)
    return known[row.text]


def _entities(text: str) -> list[dict[str, str]]:
    """The text in parts as Telegram writes them: plain, mention, link."""
    parts, at = [], 0
    for match in _SPANS.finditer(text):
        if match.start() > at:
            parts.append({"type": "plain", "text": text[at : match.start()]})
        parts.append({"type": "mention" if match[0].startswith("@") else "link", "text": match[0]})
        at = match.end()
    if at < len(text) or not parts:
        parts.append({"type": "plain", "text": text[at:]})
    return parts


def _desktop_message(chat: Chat, row: Row, text: str, inner: str) -> str:
    outer = inner[1:]
    who = "null" if row.sender_kind == "deleted" else _quoted(_from(chat, row))
    kind = "service" if row.kind == "service" else "message"
    account = f"user{row.sender}" if row.sender_kind in ("user", "deleted") else f"channel{chat.id}"
    lines = [
        f'{outer}{{\n{inner}"id": {row.id}',
        f'"type": "{kind}"',
        f'"date": "{row.local}"',
        f'"date_unixtime": "{row.sent}"',
    ]
    if row.edited:
        lines += [f'"edited": "{row.edited_local}"', f'"edited_unixtime": "{row.edited}"']
    if kind == "service":
        lines += [
            f'"actor": {who}',
            f'"actor_id": "{account}"',
            '"action": "invite_members"',
            f'"members": [\n{inner} {who}\n{inner}]',
        ]
    else:
        lines += [f'"from": {who}', f'"from_id": "{account}"']
    if row.forward:
        lines.append('"forwarded_from": "Prikbord"')
    if row.kind == "empty":
        lines += [
            '"photo": "(File not included. Change data exporting settings to download.)"',
            '"width": 960',
            '"height": 1280',
        ]
    return f",\n{inner}".join(lines) + f",\n{text}\n{outer}}}"


def _from(chat: Chat, row: Row) -> str:
    return chat.title if row.sender_kind in ("channel", "anonymous") else display_name(row.sender)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# --- Telethon, tdl, 4CAT ----------------------------------------------------------------------------------------


def _write_telethon(file: TextIO, chat: Chat, rows: list[Row], texts: list[str]) -> None:
    peer = (
        {"_": "PeerChannel", "channel_id": chat.id}
        if chat.peer_kind == "channel"
        else {"_": "PeerChat", "chat_id": chat.id}
    )
    for row in rows:
        user = row.sender_kind in ("user", "deleted")
        message: dict[str, object] = {
            "_": "MessageService" if row.kind == "service" else "Message",
            "id": row.id,
            "peer_id": peer,
            "date": _zoned(row.sent),
            "from_id": {"_": "PeerUser", "user_id": row.sender} if user else None,
            "post": row.sender_kind == "channel",
        }
        if row.kind == "service":
            message["action"] = {"_": "MessageActionChatAddUser", "users": [row.sender]}
        else:
            forward = {"_": "MessageFwdHeader", "date": _zoned(row.sent), "from_id": None, "from_name": "Prikbord"}
            message |= {
                "message": texts[row.text] if row.kind == "text" else "",
                "media": {"_": "MessageMediaPhoto"} if row.kind == "empty" else None,
                "entities": [],
                "fwd_from": forward if row.forward else None,
                "edit_date": _zoned(row.edited) if row.edited else None,
                "views": None,
            }
        file.write(json.dumps(message, ensure_ascii=False) + "\n")


def _zoned(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _write_tdl(file: TextIO, chat: Chat, rows: list[Row], texts: list[str]) -> None:
    file.write(f'{{"id":{chat.id},"messages":[')
    for number, row in enumerate(rows):
        user = row.sender_kind in ("user", "deleted")
        raw: dict[str, object] = {
            "ID": row.id,
            "Post": row.sender_kind == "channel",
            "FromID": {"UserID": row.sender} if user else None,
            "PeerID": {"ChannelID": chat.id},
            "FwdFrom": {"Date": row.sent if row.forward else 0, "FromName": "Prikbord" if row.forward else ""},
            "Date": row.sent,
            "EditDate": row.edited,
            "Message": texts[row.text] if row.kind == "text" else "",
            "Entities": [],
        }
        if row.kind == "service":
            raw["Action"] = {"Users": [row.sender]}
        entry = {"id": row.id, "type": "message", "file": "", "date": row.sent, "text": raw["Message"], "raw": raw}
        file.write(("," if number else "") + json.dumps(entry, ensure_ascii=False))
    file.write("]}")


def _write_fourcat(file: TextIO, chat: Chat, rows: list[Row], texts: list[str]) -> None:
    writer = csv.writer(file)
    writer.writerow(
        ("id", "thread_id", "chat", "author", "author_name", "body", "timestamp", "unix_timestamp")
        + ("unix_timestamp_edited", "author_forwarded_from_id")
    )
    for row in rows:
        if row.kind == "service":
            continue  # 4CAT leaves service messages out
        author = row.sender if row.sender_kind in ("user", "deleted") else chat.id
        text = texts[row.text] if row.kind == "text" else ""
        name = "" if row.sender_kind == "deleted" else _from(chat, row)
        times = (row.local.replace("T", " "), row.sent, row.edited or "")
        writer.writerow((row.id, chat.id, chat.title, author, name, text, *times, 777 if row.forward else ""))


WRITERS: Final[dict[str, Callable[[TextIO, Chat, list[Row], list[str]], None]]] = {
    "telethon": _write_telethon,
    "tdl": _write_tdl,
    "fourcat": _write_fourcat,
}
SUFFIXES: Final = {"desktop": ".json", "telethon": ".jsonl.gz", "tdl": ".json.zst", "fourcat": ".csv"}
"""Every format that the demo writes, and the ending of its files."""
