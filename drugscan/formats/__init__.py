"""Input formats: which there are, how a file is recognised (by its content), cut into ranges, and read.

A new format is one module with a `Format`, one line in `FORMATS`, and one golden file with a test.
"""

from collections.abc import Iterator
from typing import Final

from drugscan import storage
from drugscan.formats import containers, desktop, table, tdl, telethon, tgdataset
from drugscan.formats.look import HEAD_BYTES, Head, look
from drugscan.formats.reading import Format, Source
from drugscan.schema import Item, Range, Reject
from drugscan.settings import Settings

FORMATS: Final[dict[str, Format]] = {
    "desktop": desktop.FORMAT,
    "fourcat": telethon.FOURCAT,
    "telethon": telethon.FORMAT,
    "tdl": tdl.FORMAT,
    "tgdataset": tgdataset.FORMAT,
    "table": table.FORMAT,
}
"""In the order in which they are tried."""


class UnknownFormat(ValueError):
    """A file that is of no known format; the message says what was expected."""


def plan(url: str, settings: Settings) -> Iterator[Range]:
    """The ranges of one file, which may be packed (.gz, .zst, .zip); raises `UnknownFormat` or `OSError`."""
    packed = containers.packing(url)
    identity = storage.identity(url)
    if packed != "zip":
        yield from _plan_source(Source(url, packed, "", identity, _head(url, packed)), settings)
        return
    found = False
    for member in containers.members(url):
        source = Source(url, packed, member, storage.digest(identity, member), _head(url, packed, member))
        if recognise(source.head, settings):
            found = True
            yield from _plan_source(source, settings)
    if not found:
        raise UnknownFormat(_unknown(f"{url}: none of its members"))


def recognise(head: Head, settings: Settings) -> Format | None:
    """The format of a file by its beginning; `--columns` makes a table of anything that has rows."""
    if settings.columns and head.layout in ("csv", "parquet", "lines") or settings.columns and head.path == ("[]",):
        return FORMATS["table"]
    return next((format_ for format_ in FORMATS.values() if format_.sniff(head)), None)


def read(range_: Range) -> Iterator[Item]:
    """The messages, rejects and service notices of a range, by ascending offset. Damage becomes a last reject."""
    last = range_.start
    try:
        for item in FORMATS[range_.format].read(range_):
            last = item.offset
            yield item
    except containers.ReadFailed as error:
        yield Reject(last, "read_failed", str(error).split(": ", 1)[-1][:200])


def _plan_source(source: Source, settings: Settings) -> Iterator[Range]:
    format_ = recognise(source.head, settings)
    if format_ is None:
        raise UnknownFormat(_unknown(source.name))
    yield from format_.plan(source, settings)


def _head(url: str, packed: str, member: str = "") -> Head:
    with containers.opened(url, packed, member) as file:
        try:
            raw = file.read(HEAD_BYTES)
        except containers.ReadFailed:
            raw = b""  # a member that breaks off early may still begin well; reading it will tell
    return look(raw)


def _unknown(name: str) -> str:
    expected = "; ".join(format_.expected for format_ in FORMATS.values())
    return (
        f"{name} is of no known format. Expected: {expected}. "
        "For rows of another program give --columns text=...,chat_id=...,sent_at=..."
    )
