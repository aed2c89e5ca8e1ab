"""What formats share: the source of a file, cutting it into ranges, and the loop from JSON objects to messages."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from drugscan import storage
from drugscan.formats import containers
from drugscan.formats.fields import BadTime, BadValue
from drugscan.formats.framing import Framed, Key, decoded, json_lines, walk
from drugscan.formats.look import MESSAGE_PATHS, Head
from drugscan.schema import Item, Range, Reject
from drugscan.settings import Settings

Chat = dict[str, object]
"""The keys that stood beside a list of messages (title, id, type, ...), as far as they came before it."""
Convert = Callable[[Mapping[str, object], Framed, Chat], Item]
"""One JSON object, where it was found, and its chat -> one item; may raise `BadTime` or `BadValue`."""
DETAIL_LENGTH: Final = 200


@dataclass(frozen=True)
class Source:
    """One file or archive member, and the beginning of it."""

    url: str
    packed: str
    member: str
    identity: str
    head: Head

    @property
    def name(self) -> str:
        """How the source is named everywhere: the path, and the member behind an exclamation mark."""
        return f"{self.url}{containers.SEPARATOR}{self.member}" if self.member else self.url


@dataclass(frozen=True)
class Format:
    """An input format: how to know it, cut it and read it."""

    name: str
    rank: int
    """Of two versions of a message edited at the same time, the one from the richer format counts."""
    expected: str
    """What such a file looks like, in one phrase, for people whose file is none."""
    sniff: Callable[[Head], bool]
    plan: Callable[[Source, Settings], Iterator[Range]]
    read: Callable[[Range], Iterator[Item]]


def stream(source: Source, format_name: str, **context: object) -> Range:
    """The whole source as one sequential range."""
    where = {"url": source.url, "packed": source.packed, "member": source.member, "layout": source.head.layout}
    return Range(
        source=source.name,
        identity=source.identity,
        format=format_name,
        start=0,
        end=None,
        context={**where, **context},
    )


def cut(source: Source, format_name: str, range_bytes: int, **context: object) -> Iterator[Range]:
    """Ranges of fixed length over a plain file; the cuts depend on nothing but the offset."""
    whole = stream(source, format_name, **context)
    size = storage.size(source.url)
    for start in range(0, size, range_bytes):
        yield Range(
            source=whole.source,
            identity=whole.identity,
            format=format_name,
            start=start,
            end=min(start + range_bytes, size),
            context=whole.context,
        )


def plan_json(format_name: str) -> Callable[[Source, Settings], Iterator[Range]]:
    """A `plan` for JSON of any layout: lines of a plain file are cut, everything else is one stream."""

    def plan(source: Source, settings: Settings) -> Iterator[Range]:
        if source.head.layout == "lines" and not source.packed:
            return cut(source, format_name, settings.range_bytes)
        return iter([stream(source, format_name)])

    return plan


def read_json(convert: Convert) -> Callable[[Range], Iterator[Item]]:
    """A `read` for JSON of any layout, from a function that converts one object."""

    def read(range_: Range) -> Iterator[Item]:
        chats: dict[tuple[str, ...], Chat] = {}
        for found in _objects(range_):
            if isinstance(found, Key):
                chats.setdefault(found.path[:-1], {})[found.path[-1] if found.path else ""] = found.value
                if found.path[-1:] == ("[]",) or len(found.path) == 1:
                    chats[found.path] = {"key": found.path[-1]}  # a new chat begins: nothing of the last one holds
            else:
                yield item(found, chats, convert)

    return read


def item(found: Framed, chats: Mapping[tuple[str, ...], Chat], convert: Convert) -> Item:
    """The item of one framed object; whatever is wrong with it becomes a reject."""
    if found.reason:
        return Reject(found.offset, found.reason)
    try:
        value = decoded(found.raw)
        if not isinstance(value, dict):
            return Reject(found.offset, "not_an_object")
        return convert(value, found, chats.get(found.path[:-2], {}))
    except BadTime as error:
        return Reject(found.offset, "bad_time", str(error)[:DETAIL_LENGTH])
    except BadValue as error:
        return Reject(found.offset, "bad_value", str(error)[:DETAIL_LENGTH])
    except ValueError as error:
        cut_off = not found.path and not found.raw.endswith(b"\n")
        return Reject(found.offset, "truncated" if cut_off else "broken_json", _parser_words(error))


def _parser_words(error: ValueError) -> str:
    """What the parser said, without the bytes of the message that some errors carry."""
    return (error.reason if isinstance(error, UnicodeDecodeError) else str(error))[:DETAIL_LENGTH]


def _objects(range_: Range) -> Iterator[Framed | Key]:
    context = range_.context
    with containers.opened(str(context["url"]), str(context["packed"]), str(context["member"])) as file:
        if context["layout"] == "lines":
            yield from json_lines(file, range_.start, range_.end)
        else:
            yield from walk(file, MESSAGE_PATHS)
