"""A corpus of any size that looks like NOS's, with the truth beside it.

What decides speed and figures is kept honest: half of the messages are ads, each ad text is posted 45 times on
average with a long tail (one text makes up 5 %), a third of the messages has no text, most other texts are distinct.
Exports overlap, messages are edited (also from ad to innocent and back), forwarded, posted by deleted accounts and
by anonymous admins. `truth/` holds what a perfect tool would find after duplicates and edits.
"""

import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from drugscan.demo_exports import SUFFIXES, Chat, Row, local_times, write_chats
from drugscan.demo_sellers import plant
from drugscan.demo_texts import PUZZLES, DemoError, SmallTalk, Template, make_ads, read_authored
from drugscan.demo_truth import Drawn, Part, truth_of

AUTHORED: Final = str(Path(__file__).parent.parent / "data" / "authored")
"""The authored messages lie in the repository, beside the package."""
FULL_SIZE: Final = 5_600_000
SELLERS: Final = 9_900
COPIES: Final = 45
AD_SHARE: Final = 0.5
EMPTY_SHARE: Final = 1 / 3
SERVICE_SHARE: Final = 0.005
HOT_SHARE: Final = 0.05
OVERLAP: Final = 0.4
"""Of a chat that is exported twice, the later part that stands in both exports."""
EDITED: Final = 0.02
_BEGIN: Final = 1_546_300_800  # 2019-01-01
_END: Final = 1_735_603_200  # 2024-12-31
_SELLING: Final = 1_000_000
_OTHER_USERS: Final = 900_000_000
"""Where the numbers of accounts that sell and of all others begin."""
_TWICE: Final = 3
"""Chats (the first ones) that are exported twice."""
_TOGETHER: Final = 6
"""Chats that stand together in one full account export, with a private chat among them."""


@dataclass(frozen=True)
class DemoOptions:
    """What to make. `messages` = rows in all exports together: copies, service and private messages included."""

    messages: int
    out: str
    formats: tuple[str, ...] = ("desktop",)
    seed: int = 0
    authored: str = AUTHORED
    processes: int = 2


@dataclass(frozen=True)
class DemoSummary:
    """What was made; all counts but the first four are of the truth (after duplicates and edits, without private)."""

    rows: int
    service: int
    private: int
    kept: int
    current: int
    duplicates: int
    superseded: int
    empty: int
    texts: int
    ad_texts: int
    ads: int
    sellers: int
    distinct_rate: float
    """Distinct texts per message that has text."""
    seconds: float
    bytes: int

    def line(self) -> str:
        """One line for people."""
        return (
            f"{self.rows:,} messages ({self.bytes / 1e6:,.0f} MB) in {self.seconds:.0f} s, "
            f"{self.rows / self.seconds:,.0f} messages/s; {self.ads:,} ads, {self.ad_texts:,} distinct; "
            f"{self.distinct_rate:.1%} of all messages with text are distinct"
        )


@dataclass(frozen=True)
class _World:
    """What all chats share: ads, who posts them, and how often."""

    options: DemoOptions
    ads: list[Template]
    owner: np.ndarray
    weight: np.ndarray
    begin: np.ndarray
    length: np.ndarray
    account: np.ndarray
    """Number of the account that posts each ad."""
    seller: np.ndarray
    """Number of the seller behind each account."""


def generate(options: DemoOptions) -> DemoSummary:
    """Write OUT/exports and OUT/truth; the same options give the same files, whatever the number of processes."""
    started = time.perf_counter()
    unknown = sorted(set(options.formats) - set(SUFFIXES))
    if unknown or options.messages < 1000:
        raise DemoError(
            f"formats are {', '.join(SUFFIXES)}; at least 1000 messages (got {unknown or options.messages})"
        )
    out = Path(options.out)
    if out.exists() and any(out.iterdir()):
        raise DemoError(f"{out} is not empty; name a new folder")
    templates = read_authored(options.authored, PUZZLES)
    world = _make_world(templates, options)
    groups = _groups(_chats(), options)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        parts = [part for group in pool.map(_write_group, groups, repeat(world), repeat(templates)) for part in group]
    return _write_truth(out, world, parts, started)


def _make_world(templates: list[Template], options: DemoOptions) -> _World:
    random = np.random.default_rng([options.seed, 0])
    sellers = max(50, round(options.messages * SELLERS / FULL_SIZE))
    count = max(2 * sellers, round(options.messages * AD_SHARE / COPIES))
    skew = np.minimum(random.pareto(1.2, sellers) + 0.2, 40.0)
    owner = np.concatenate([np.arange(sellers), random.choice(sellers, count - sellers, p=skew / skew.sum())])
    weight = random.pareto(1.1, count) + 0.05
    weight = np.minimum(weight, weight.sum() * HOT_SHARE / 5)
    weight[0] = weight[1:].sum() * HOT_SHARE / (1 - HOT_SHARE)
    begin = random.integers(_BEGIN, _END - 40 * 86_400, sellers)
    length = np.minimum(random.exponential(300 * 86_400, sellers) + 20 * 86_400, _END - begin)
    length[owner[0]], begin[owner[0]] = _END - _BEGIN, _BEGIN
    ads = make_ads(templates, [f"demo_{each}" for each in owner.tolist()], options.seed)
    planted = plant(ads, owner, weight, options.seed)
    weight = planted.weight / planted.weight.sum()
    return _World(options, planted.ads, owner, weight, begin, length, planted.account, planted.seller)


def _chats() -> list[Chat]:
    """21 chats as NOS saw, a basic group and a private chat."""
    types = ["public_supergroup"] * 17 + ["public_channel"] * 3 + ["private_group", "personal_chat"]
    return [Chat(i, 1_400_000_000 + i * 7_654_321, f"Prikbord {i + 1:02d}", kind) for i, kind in enumerate(types)]


def _groups(chats: list[Chat], options: DemoOptions) -> list[list[tuple[Chat, int]]]:
    """Chats that go into one file, each with its number of rows; larger chats first."""
    weights = np.array([1 / (chat.number + 2) ** 0.7 for chat in chats])
    weights[[-2, -1]] = weights.sum() * 0.01
    rows = np.floor(weights / weights.sum() * options.messages).astype(int)
    rows[0] += options.messages - rows.sum()
    sized = list(zip(chats, rows.tolist(), strict=True))
    together = sized[_TWICE : _TWICE + _TOGETHER - 1] + sized[-1:]
    single = [pair for pair in sized if pair not in together]
    return [[pair] for pair in single] + [together]


def _write_group(group: list[tuple[Chat, int]], world: _World, templates: list[Template]) -> list[Part]:
    """Write the export (or two) of one chat, or of several together."""
    talk, options = SmallTalk(templates), world.options
    exports = Path(options.out) / "exports"
    drawn = [_draw(chat, rows, world, talk) for chat, rows in group]
    if len(group) > 1:
        files = [(exports / "account" / "result.json", "desktop", [(d.chat, d.first, d.texts) for d in drawn])]
    else:
        chat, formats = drawn[0].chat, options.formats
        name = "desktop" if chat.type == "private_group" else formats[chat.number % len(formats)]
        files = [(_file(exports, chat, name, 1), name, [(chat, drawn[0].first, drawn[0].texts)])]
        if drawn[0].second:
            other = formats[(chat.number + 1) % len(formats)]
            files.append((_file(exports, chat, other, 2), other, [(chat, drawn[0].second, drawn[0].texts)]))
    for path, format_name, chats in files:
        write_chats(path, format_name, chats)
    return [truth_of(each) for each in drawn]


def _file(exports: Path, chat: Chat, format_name: str, number: int) -> Path:
    name = "result" if format_name == "desktop" else "messages"
    return exports / f"chat-{chat.number + 1:02d}-{number}" / f"{name}{SUFFIXES[format_name]}"


def _draw(chat: Chat, rows: int, world: _World, talk: SmallTalk) -> Drawn:
    random = np.random.default_rng([world.options.seed, 2, chat.number])
    twice = chat.number < _TWICE
    count = round(rows / (1 + OVERLAP)) if twice else rows
    overlap = rows - count if twice else 0
    kinds = random.choice(
        4, count, p=[AD_SHARE, EMPTY_SHARE, SERVICE_SHARE, 1 - AD_SHARE - EMPTY_SHARE - SERVICE_SHARE]
    )
    if "fourcat" in world.options.formats:
        kinds[kinds == 2] = 1  # 4CAT leaves service messages out: the demo then has none
    is_ad, is_other = kinds == 0, kinds == 3
    text = np.full(count, -1)
    text[is_ad] = random.choice(len(world.ads), int(is_ad.sum()), p=world.weight)
    seller, account = (each[np.maximum(text, 0)] for each in (world.owner, world.account))
    anywhere = random.integers(_BEGIN, _END, count)
    sent = np.where(is_ad, world.begin[seller] + (random.random(count) * world.length[seller]).astype(int), anywhere)
    others = talk.draw(int(is_other.sum()), random)
    text[is_other] = len(world.ads) + np.arange(len(others))
    sender = np.where(is_ad, _SELLING + account, _OTHER_USERS + random.zipf(1.2, count) % 50_000)
    order = np.argsort(sent, kind="stable")
    columns = (sent[order], kinds[order], text[order], sender[order])
    first = _rows(chat, columns, world, random)
    labelled = [*world.ads, *(Template(other, False) for other in others)]
    second = _exported_again(first[count - overlap :], labelled, random) if overlap else []
    return Drawn(chat, first, second, [each.text for each in labelled], labelled)


def _rows(chat: Chat, columns: tuple[np.ndarray, ...], world: _World, random: np.random.Generator) -> list[Row]:
    """Messages in order, with ids (with gaps), senders and forwards."""
    sent, kinds, text, sender = columns
    count = len(sent)
    ids = np.cumsum(random.choice((1, 1, 1, 1, 1, 1, 1, 2, 3), count))
    names = np.array(["text", "empty", "service", "text"])[kinds]
    luck = random.random((3, count))
    who = np.where(luck[0] < 0.02, "deleted", "user")
    if chat.type == "public_channel":
        who = np.full(count, "channel")
    elif chat.type == "public_supergroup" and "fourcat" not in world.options.formats:
        who = np.where(luck[1] < 0.01, "anonymous", who)
    forward = (luck[2] < 0.03) & (names == "text")
    edited = np.where(
        (random.random(count) < EDITED / 2) & (names == "text"), sent + random.integers(60, 86_400, count), 0
    )
    local = local_times(pl.Series(sent))
    local_edits = local_times(pl.Series(edited))
    arrays = (ids, sent, local, edited, local_edits, names, text, sender, who, forward)
    fields = (array.to_list() if isinstance(array, pl.Series) else array.tolist() for array in arrays)
    return [Row(*values) for values in zip(*fields, strict=True)]


def _exported_again(rows: list[Row], labelled: list[Template], random: np.random.Generator) -> list[Row]:
    """The rows as a later export has them: some edited, some of those from an ad to innocent words or back."""
    edits = np.flatnonzero(random.random(len(rows)) < EDITED)
    other = random.integers(0, len(labelled), len(rows))
    keeps = random.random(len(rows)) < 0.3
    later = list(rows)
    moments = {i: rows[i].sent + 90_000 + int(other[i]) % 86_400 for i in edits.tolist() if rows[i].kind == "text"}
    local = local_times(pl.Series(list(moments.values()), dtype=pl.Int64)).to_list()
    for (index, moment), text in zip(moments.items(), local, strict=True):
        new = rows[index].text if keeps[index] else int(other[index])
        later[index] = rows[index]._replace(text=new, edited=moment, edited_local=text)
    return later


def _sellers(world: _World) -> pl.DataFrame:
    """truth/sellers.parquet: every account that sells, and who is behind it; all other accounts are somebody else."""
    numbers = pl.int_range(_SELLING, _SELLING + len(world.seller), eager=True)
    return pl.DataFrame({"number": numbers, "of": world.seller}).select(
        account=pl.format("user:{}", "number"), seller=pl.format("demo_{}", "of")
    )


def _write_truth(out: Path, world: _World, parts: list[Part], started: float) -> DemoSummary:
    truth = out / "truth"
    truth.mkdir(parents=True)
    messages = pl.concat([part.messages for part in parts])
    texts = pl.concat([part.texts for part in parts]).unique("text_id", keep="first", maintain_order=True)
    used = texts.join(messages.select("text_id").unique(), on="text_id", how="semi")
    messages.write_parquet(truth / "messages.parquet")
    texts.write_parquet(truth / "texts.parquet")
    _sellers(world).write_parquet(truth / "sellers.parquet")
    ads = messages.join(used.filter("drugsad").select("text_id"), on="text_id", how="semi")
    own = ads.filter(~pl.col("is_forward") & (pl.col("sender_kind") != "anonymous"))
    counts = {name: sum(part.counts[name] for part in parts) for name in parts[0].counts}
    summary = DemoSummary(
        **counts,
        current=messages.height,
        empty=messages["text_id"].null_count(),
        texts=used.height,
        ad_texts=int(used["drugsad"].sum()),
        ads=ads.height,
        sellers=own["sender"].n_unique(),
        distinct_rate=used.height / max(1, messages["text_id"].count()),
        seconds=time.perf_counter() - started,
        bytes=sum(file.stat().st_size for file in (out / "exports").rglob("*") if file.is_file()),
    )
    (truth / "summary.json").write_text(json.dumps(asdict(summary) | {"seed": world.options.seed}, indent=1))
    return summary
