"""Who is who in the demo: sellers with several accounts, and all that looks like a link between accounts and is none.

Handles, numbers and ids are made up; numbers that begin with 0600 are given to nobody in the Netherlands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from drugscan import handles
from drugscan.demo_texts import Template
from drugscan.text import canonical

SEVERAL_ACCOUNTS: Final = 0.35
"""Of the sellers with more than one ad, those with two to four accounts."""
AT_THE_HUB: Final = 0.4
"""Sellers who name the handle of one big group in every ad."""
COPIED: Final = 0.05
"""Ads with the text of another seller's and a handle of its own."""
RESELLERS: Final = 0.25
"""Of the sellers with one account and five ads or more, those who pass on another's ad, handle and all."""
_HUB: Final = "@demo_prikbord_nl"
_NOISE: Final = (("escrow via @demo_garant", 0.08), ("bestel: @demo_lijst_bot", 0.05))
_FULL_WIDTH: Final = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


@dataclass(frozen=True)
class Planted:
    """The ads with their contacts, who posts each, and whose accounts those are."""

    ads: list[Template]
    account: npt.NDArray[np.int64]
    """Number of the account that posts each ad; a seller's first account bears the seller's number."""
    seller: npt.NDArray[np.int64]
    """Number of the seller behind each account."""
    weight: npt.NDArray[np.float64]
    """How often each ad is posted, relative to the others."""


def handle_of(seller: int, account: int = 0) -> str:
    """The Telegram name of a seller, or of a further account of his."""
    return f"demo_{seller}" + (f"_{account}" if account else "")


def plant(ads: Sequence[Template], owner: npt.NDArray[np.int64], weight: npt.NDArray[np.float64], seed: int) -> Planted:
    """Give ads (each with `handle_of` its owner) their accounts, contacts, hubs, copycats and resellers."""
    random = np.random.default_rng([seed, 4])
    sellers = int(owner.max()) + 1
    counts = np.bincount(owner, minlength=sellers)
    several = (random.random(sellers) < SEVERAL_ACCOUNTS) & (counts > 1)
    sizes = np.where(several, np.minimum(random.integers(2, 5, sellers), counts), 1)
    seen_before = _earlier(owner)
    turn = seen_before % sizes[owner]
    first_extra = sellers + np.concatenate([[0], np.cumsum(sizes - 1)[:-1]])
    account = np.where(turn == 0, owner, first_extra[owner] + turn - 1)
    behind = np.concatenate([np.arange(sellers), np.repeat(np.arange(sellers), sizes - 1)])
    texts = [_own(ad, seller) for ad, seller in zip(ads, owner.tolist(), strict=True)]
    _copy(texts, owner, random)
    _contacts(texts, owner, turn, sizes, random)
    weight = weight.copy()
    for ad in np.flatnonzero((seen_before == 4) & (sizes[owner] == 1) & (random.random(len(ads)) < RESELLERS)).tolist():
        source = int(random.integers(1, len(ads)))
        if ad and owner[source] != owner[ad]:
            texts[ad] = msgspec.structs.replace(texts[source], text=f"🔁 {texts[source].text}")
            weight[ad] = min(weight[ad], 0.1 * weight[(owner == owner[ad]) & (np.arange(len(ads)) != ad)].sum())
    return Planted(_distinct(texts), account, behind, weight)


def _earlier(owner: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many ads of the same owner stand before each ad."""
    order = np.argsort(owner, kind="stable")
    ranked = owner[order]
    starts = np.searchsorted(ranked, ranked)
    result = np.empty(len(owner), np.int64)
    result[order] = np.arange(len(owner)) - starts
    return result


def _own(ad: Template, seller: int) -> Template:
    """The ad without contacts of the message that it was made from."""
    text = ad.text
    for contact in reversed(handles.find_all(text)):
        if contact.handle != handle_of(seller):
            text = f"{text[: contact.start]}@{handle_of(seller)}{text[contact.end :]}"
    return msgspec.structs.replace(ad, text=canonical(text))


def _copy(texts: list[Template], owner: npt.NDArray[np.int64], random: np.random.Generator) -> None:
    """Copycats: another's text with an own handle."""
    for ad in np.flatnonzero(random.random(len(texts)) < COPIED).tolist():
        source = int(random.integers(len(texts)))
        old, new = f"@{handle_of(int(owner[source]))}", f"@{handle_of(int(owner[ad]))}"
        texts[ad] = msgspec.structs.replace(texts[source], text=texts[source].text.replace(old, new))


def _contacts(
    texts: list[Template],
    owner: npt.NDArray[np.int64],
    turn: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    random: np.random.Generator,
) -> None:
    """What sellers add: a handle that their accounts share, the hub, and handles of others."""
    style = random.integers(0, 3, len(sizes))
    at_hub = random.random(len(sizes)) < AT_THE_HUB
    for ad, (seller, number) in enumerate(zip(owner.tolist(), turn.tolist(), strict=True)):
        text, lines = texts[ad].text, []
        if style[seller]:
            text = text.replace(f"@{handle_of(seller)}", f"@{handle_of(seller, number)}")
            lines.append(_phone(seller, random) if style[seller] == 1 else _messenger(seller, random))
        lines += [_HUB] if at_hub[seller] else []
        lines += [line for line, share in _NOISE if random.random() < share]
        texts[ad] = msgspec.structs.replace(texts[ad], text=canonical("\n".join([text, *lines])))


def _phone(seller: int, random: np.random.Generator) -> str:
    """The seller's number, each time in another of its notations."""
    end = f"{seller % 1_000_000:06d}"
    pairs = f"{end[:2]} {end[2:4]} {end[4:]}"
    ways = (f"06 00 {pairs}", f"0600{end}", f"06-00{end}", f"+31 6 00{end}", f"0031600{end}", f"(06) 00 {pairs}")
    more = (f"wa.me/31600{end}", f"06.00.{pairs.replace(' ', '.')}", f"0600{end}".translate(_FULL_WIDTH))
    every = ways + more
    return f"app {every[int(random.integers(len(every)))]}"


def _messenger(seller: int, random: np.random.Generator) -> str:
    """The seller's id in one messenger, the same in all of his ads."""
    kinds = (
        (f"Threema ID DM{seller % 1_000_000:06d}", f"threema: dm{seller % 1_000_000:06d}"),
        (f"signal: demo.{seller:02d}", f"Signal @demo.{seller:02d}"),
        (f"snap: demo.{seller}", f"Snapchat demo.{seller}"),
        (f"t.me/demo_{seller}_shop", f"https://t.me/Demo_{seller}_shop"),
        (f"Session 05{seller:064x}", f"05{seller:064x}"),
    )
    ways = kinds[seller % len(kinds)]
    return ways[int(random.integers(len(ways)))]


def _distinct(texts: list[Template]) -> list[Template]:
    """All different, as every ad must have a text of its own."""
    seen: set[str] = set()
    result = []
    for ad in texts:
        while ad.text in seen:
            ad = msgspec.structs.replace(ad, text=f"📌 {ad.text}")
        seen.add(ad.text)
        result.append(ad)
    return result
