"""Handles come out in one writing however they are written, and words that are none do not come out."""

import json
import re

import polars as pl
import pytest

from drugscan import contacts, handles, phones
from drugscan.report import evidence
from tests.conftest import REPOSITORY

NUMBER = "+31612345678"
DUTCH_MOBILE = (
    "0612345678", "06-12345678", "06 12345678", "06 12 34 56 78", "06-12 34 56 78", "06.12.34.56.78", "06_12345678",
    "(06) 12345678", "(06)12345678", "(06)-12 34 56 78", "06/12345678", "06 - 1234 5678", "06*12345678", "06–12345678",
    "0 6 1 2 3 4 5 6 7 8", "+31612345678", "+31 6 12345678", "+31 (0)6 12345678", "+31(0)612345678", "+31-6-12345678",
    "+31.6.12.34.56.78", "0031612345678", "0031 6 12 34 56 78", "00 31 6 12345678", "0031 (0)6-12345678", "31612345678",
    "31 6 12345678", "O612345678", "o6 12 34 56 78", "06 l2 34 56 78", "０６１２３４５６７８", "𝟎𝟔𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖",
    "٠٦١٢٣٤٥٦٧٨",
    "0️⃣6️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣", "⓪⑥①②③④⑤⑥⑦⑧", "06\u200b12\u200b345678", "wa.me/31612345678", "https://wa.me/31612345678?text=hoi",
    "https://api.whatsapp.com/send?phone=31612345678", "whatsapp://send?phone=+31612345678", "tel:+31612345678",
    "t.me/+31612345678", "tg://resolve?phone=31612345678", "https://signal.me/#p/+31612345678", "signal: 0612345678",
    "Signal 06 12345678", "whatsapp:0612345678", "bel 0612345678!", "app 6 12345678", "06 12345678 10 euro",
    "50 06 12345678",
)  # fmt: skip
OTHER_NUMBERS = {
    "0470 12 34 56": "+32470123456",
    "0470/12.34.56": "+32470123456",
    "+32 (0)470 12 34 56": "+32470123456",
    "0032470123456": "+32470123456",
    "32470123456": "+32470123456",
    "02/212.34.56": "+3222123456",
    "02 212 34 56": "+3222123456",
    "0475-223456": "+31475223456",
    "020-2234567": "+31202234567",
    "020 223 45 67": "+31202234567",
    "+31 20 223 4567": "+31202234567",
    "0151 23456789": "+4915123456789",
    "+49 151 23456789": "+4915123456789",
    "0049 160 1234567": "+491601234567",
    "+44 7700 900123": "+447700900123",
    "+44 (0)7700 900123": "+447700900123",
    "+33 6 12 34 56 78": "+33612345678",
    "+1 (555) 010-0199": "+15550100199",
    "+212 612-345678": "+212612345678",
}
NO_NUMBERS = (
    "061234567890", "10 20 30 40 50 60 70 80", "1 10 2 20 3 30 4 40 5 50", "prijs 0612", "NL91ABNA0417164300",
    "2019-01-02 12:34:56", "020 030 040 050", "076 013 016 5", "+25 110 100 350", "040 075 038", "€0,50 0,60 0,70 0,80",
    "https://example.org/0612345678", "05" + "ab" * 32,
)  # fmt: skip
HANDLES = {
    "@Wiet_Koning": ("telegram", "wiet_koning"),
    "dm@Wiet_Koning": ("telegram", "wiet_koning"),
    "t.me/Wiet_Koning": ("telegram", "wiet_koning"),
    "https://t.me/s/wiet_koning": ("telegram", "wiet_koning"),
    "telegram.me/wiet_koning?start=x": ("telegram", "wiet_koning"),
    "https://t.me/wiet_koning/123": ("telegram", "wiet_koning"),
    "tg://resolve?domain=Wiet_Koning": ("telegram", "wiet_koning"),
    "wiet_koning.t.me": ("telegram", "wiet_koning"),
    "tg: wiet_koning": ("telegram", "wiet_koning"),
    "@𝕎𝕚𝕖𝕥_𝕂𝕠𝕟𝕚𝕟𝕘": ("telegram", "wiet_koning"),
    "@wiet\u200b_koning": ("telegram", "wiet_koning"),
    "t.me/joinchat/AbC": ("telegram", "+AbC"),
    "t.me/+AbC": ("telegram", "+AbC"),
    "tg://join?invite=AbC": ("telegram", "+AbC"),
    "signal: wietkoning.58": ("signal", "wietkoning.58"),
    "Signal user: wietkoning.58.": ("signal", "wietkoning.58"),
    "Signal wietkoning.58": ("signal", "wietkoning.58"),
    "snap: meppelsnacks": ("snapchat", "meppelsnacks"),
    "snap: wietmeppel": ("snapchat", "wietmeppel"),
    "snap: @wiet": ("snapchat", "wiet"),
    "snap: wiet.boer": ("snapchat", "wiet.boer"),
    "Signal: wiet.58": ("signal", "wiet.58"),
    "telegram: wietkoning": ("telegram", "wietkoning"),
    "snap wiet_1": ("snapchat", "wiet_1"),
    "Snapchat @wietje": ("snapchat", "wietje"),
    "👻 wiet_99": ("snapchat", "wiet_99"),
    "snapchat.com/add/Wiet.je": ("snapchat", "wiet.je"),
    "wickr: kabouterplop77": ("wickr", "kabouterplop77"),
    "wickr 420_boy": ("wickr", "420_boy"),
    "Signal 06-00 44 91 21": ("phone", "+31600449121"),
    "wickr me: kabouter": ("wickr", "kabouter"),
    "Threema ID ABCD1234": ("threema", "ABCD1234"),
    "threema: r4kelm9z": ("threema", "R4KELM9Z"),
    "threema.id/ABCD1234": ("threema", "ABCD1234"),
    "session 05" + "aB" * 32: ("session", "05" + "ab" * 32),
    "session: wiet_ons": ("session", "wiet_ons"),
    "chat.whatsapp.com/AbCd": ("whatsapp", "AbCd"),
}
NO_HANDLES = (
    "signal only", "signal: stuur bericht", "WhatsApp groen", "ik snap ze allemaal", "snap je?", "Threema natuurlijk",
    "Threema in bio", "Session id op verzoek", "mail a@b.nl", "@gmail.com", "insta @wietje", "kik: wietje", "10g @ 20",
    "@wie", "t.me/c/123/45", "t.me/addstickers/wiet", "tg: @admin", "https://example.org/@wiet_koning",
    "t.me/addlist/AbC123xyz", "https://t.me/boost/wiet_koning", "t.me/boost?c=123", "t.me/contact/AbC123xyz",
    "t.me/giftcode/AbC123xyz", "t.me/invoice/AbC123xyz", "t.me/m/AbC123xyz", "t.me/call/AbC123xyz", "boost.t.me",
    "ik snap 3mmc niet", "signal 24.7", "snap: 10g 50",
    "Signal: bestel via de bio", "Telegram: voorraad", "Session: gratis", "Telegram: drugs", "snap: wiet",
    "signal: bezorging", "tg: meld", "Signal -> Bestellen", "whatsapp: Zeist", "wickr: haze", "telegram: succes, man",
)  # fmt: skip


def found(text: str) -> list[tuple[str, str]]:
    return [(each.kind, each.handle) for each in handles.find_all(text)]


@pytest.mark.parametrize("text", DUTCH_MOBILE)
def test_a_dutch_mobile_number(text: str) -> None:
    assert found(text) == [("phone", NUMBER)]


@pytest.mark.parametrize(("text", "number"), OTHER_NUMBERS.items())
def test_other_numbers(text: str, number: str) -> None:
    assert found(text) == [("phone", number)]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_numbers(text: str) -> None:
    assert [pair for pair in found(text) if pair[0] == "phone"] == []


@pytest.mark.parametrize(("text", "pair"), HANDLES.items())
def test_handles(text: str, pair: tuple[str, str]) -> None:
    assert found(text) == [pair]


@pytest.mark.parametrize("text", NO_HANDLES)
def test_no_handles(text: str) -> None:
    assert found(text) == []


def test_a_handle_without_a_sign_is_no_common_word() -> None:
    """Of the words of the held-out messages, put behind `Signal:`, nine in ten are no handle (0.90)."""
    texts = [
        json.loads(line)["text"]
        for file in sorted((REPOSITORY / "data" / "held-out").glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    words = [word for text in texts for word in re.findall(r"(?<![\w@./+\-])[A-Za-z]{4,}(?![\w@/])", text, re.ASCII)]
    assert sum(found(f"Signal: {word}") == [] for word in words) / len(words) >= 0.89


def test_two_numbers_and_where_they_stand() -> None:
    text = "☎ 06 12 34 56 78 / 𝟎𝟔 87654321"
    contacts_found = handles.find_all(text)
    assert [text[each.start : each.end] for each in contacts_found] == ["06 12 34 56 78", "𝟎𝟔 87654321"]
    assert [each.handle for each in contacts_found] == [NUMBER, "+31687654321"]
    assert phones.normal("31612345678") == NUMBER
    assert phones.normal("12") is None


def test_whose_handle_it_is() -> None:
    text = "admin @baas_x, bestel @eigen_x\nescrow via @garant_x\nlet op: nep @dief_x"
    assert {each.handle: each.quoted for each in handles.find_all(text)} == {
        "baas_x": True,
        "eigen_x": False,
        "garant_x": True,
        "dief_x": True,
    }


def test_find_gives_each_handle_once_per_text() -> None:
    texts = pl.DataFrame(
        {"text_id": [b"1", b"2", b"3"], "text": ["@wiet_1 t.me/wiet_1", "nep @wiet_1 of @wiet_1", "niets"]}
    )
    assert contacts.find(texts).rows() == [
        (b"1", "telegram", "wiet_1", False),
        (b"2", "telegram", "wiet_1", False),
    ]  # fmt: skip
    assert contacts.find(texts.clear()).schema == contacts.find(texts).schema


def test_what_is_found_is_covered() -> None:
    texts = pl.Series("text", [*DUTCH_MOBILE, *OTHER_NUMBERS, *HANDLES, "1g 10 2g 18 5g 40, bezorging Zeist"])
    covered = contacts.cover(texts)
    assert covered.name == "text"
    assert [text for text in covered if found(text)] == []
    assert covered[-1] == texts[-1]
    assert [contacts.cover_one(text) for text in texts] == covered.to_list()


COVERED = {
    "instagram.com/dealer020": "[link]",
    "zie linktr.ee/dealer020 voor menu": "zie [link] voor menu",
    "discord.gg/abcDEF": "[link]",
    "x.com/dealer020": "[link]",
    "signal.group/#abcDEF123": "[link]",
    "whatsapp.com/channel/0029Va": "[link]",
    "simplex.chat/contact#abc": "[link]",
    "telegram.dog/addlist/abc": "[link]",
    "Insta: dealer020": "Insta: •••",
    "instagram naam -> dealer": "instagram: •••",
    "ig dealer020": "ig •••",
    "ig dealer.van.020 nu": "ig ••• nu",
    "mijn insta is dealer_x": "mijn insta •••",
    "kik dealer020": "kik •••",
    "@dealer:10g 50": "@•••:10g 50",
    "ig/dealer020": "ig •••",
    "Discord: dealer#1234": "Discord: •••",
    "matrix @dealer:matrix.org": "matrix @•••",
    "telegram naam is wietboer_1": "telegram •••",
    "Snap dealer_1 of SIGNAL dealer.58": "Snap ••• of SIGNAL •••",
    "Kik: dealer": "Kik: •••",
    "Wire: dealer020": "Wire: •••",
    "discord dealer020": "discord •••",
    "instagram: @dealer.020": "instagram: @•••",
    "dm @dealer.van.west.": "dm @•••.",
    "dm @dealer. Bel nu": "dm @•••. Bel nu",
    "@020dealer": "@•••",
}
UNCOVERED = (
    "1g 50/2g 90", "2.50 eu/st", "10.eu/stuk", "50€/g 45.00/g", "o.v.v. naam, a.u.b./svp", "verzending NL/BE",
    "open 9.00/23.00", "wiet.hasj/coke", "ma. t/m vr./zat.", "i.v.m./o.a. drukte", "10 st @100", "1g @ 50, 100g @450",
    "24/7 bezorging", "ik snap 3mmc niet", "ig 10g 50", "facebook 24/7", "wire 5g 20", "discord 100 leden",
    "handig: bestellen 50 euro", "insta beschikbaar. Bel", "Utrecht/Amersfoort", "10.5g/50", "ket.1g/25", "2c-b/lsd",
    "Zwolle e.o./Kampen e.o.", "3.5/5/10 gram", "1.000 st. 300/kg", "Instagram volgt nog", "Signal 24.7 open",
)  # fmt: skip


@pytest.mark.parametrize(("text", "covered"), COVERED.items())
def test_covered(text: str, covered: str) -> None:
    assert contacts.mask(text) == covered
    assert contacts.cover(pl.Series([text])).to_list() == [covered]


def test_the_mark_of_a_contact_begins_with_it() -> None:
    (pieces,) = evidence.pieces([{"text": "wiet, ig dealer020 of Kik: dealer", "labels": "softdrugs"}])
    assert [piece.text for piece in pieces if piece.kind == "contact"] == ["ig dealer020", "Kik: dealer"]


def test_prices_and_ordinary_words_are_not_covered() -> None:
    assert contacts.cover(pl.Series(UNCOVERED)).to_list() == list(UNCOVERED)
    assert [contacts.mask(text) for text in UNCOVERED] == list(UNCOVERED)


@pytest.mark.parametrize("piece", ["x", "a.", "@", "a@", "@a.", "ig ", "ig a", "kik -", "x.nl/", "Signal ", "insta: "])
def test_no_text_takes_long_to_cover(piece: str) -> None:
    contacts.cover(pl.Series([piece * 100_000, f"ig {piece * 100_000}"]))
    contacts.mask(piece * 10_000)


@pytest.mark.parametrize(
    "piece", ["x", "a.", "@", "a@", "signal ", " ", "insta ", "06 ", "0", "+", "https://", "t.me/", "-", "👻"]
)
def test_no_text_takes_long(piece: str) -> None:
    """Twice as long, hardly more than twice as much work: what is quadratic would take minutes here."""
    handles.find_all(piece * 10_000)
    handles.find_all("signal" + piece * 10_000)
