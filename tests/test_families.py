"""Families: changed copies of an ad are found, other ads are not, whatever the order and the number of buckets."""

import dataclasses
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from drugscan import demo, demo_texts, families, near_copies
from drugscan.demo_texts import Template
from drugscan.listings import Bucket
from drugscan.schema import LABELS
from drugscan.statistics import masked
from drugscan.text import text_id
from tests import conftest
from tests.fake_model import FakeModel

OTHER_WORDS = (
    "vandaag",
    "morgen",
    "top",
    "beste",
    "snel",
    "nieuw",
    "verse",
    "actie",
    "weekend",
    "avond",
    "groot",
    "sterk",
)
OTHER_PLACES = [place for places in demo_texts.PLACES.values() for place in places]
EMOJI = "🔥✅⭐🚀💯📲🔌"


def groups(texts: Sequence[str]) -> list[int]:
    return near_copies.groups(near_copies.signatures(pl.Series(texts))).tolist()


def changed(ad: Template, chance: random.Random) -> Iterator[tuple[str, str]]:
    """The ad as somebody posts it again: (what was changed, text)."""
    text = ad.text
    if len(words := list(re.finditer(r"[^\W\d_]{3,}", text))) > 3:  # of less words each one makes another ad
        word = chance.choice(words)
        yield "word", text[: word.start()] + chance.choice(OTHER_WORDS) + text[word.end() :]
    if numbers := list(re.finditer(r"\d+", text)):
        number = chance.choice(numbers)
        yield "price", text[: number.start()] + str(int(number[0][:6]) + 15) + text[number.end() :]
    for place in [place for place in ad.places if place in text][:1]:
        yield "place", text.replace(place, chance.choice(OTHER_PLACES))
    yield "emoji", f"{chance.choice(EMOJI)}{chance.choice(EMOJI)} {text} {chance.choice(EMOJI)}"
    if len(lines := text.split("\n")) > 2:
        yield "lines", "\n".join(chance.sample(lines, len(lines)))
    yield "contact", f"{text}\ndm @nieuw_{chance.randrange(999)}"


def judged(truth: Sequence[object], found: Sequence[object]) -> tuple[float, float]:
    """Pairwise recall and precision."""

    def pairs(groups: Sequence[object]) -> int:
        return sum(n * (n - 1) // 2 for n in Counter(groups).values())

    right = pairs(list(zip(truth, found, strict=True)))
    return right / pairs(truth), right / pairs(found)


@pytest.fixture(scope="module")
def authored() -> list[Template]:
    return [ad for ad in demo_texts.read_authored(demo.AUTHORED) if ad.drugsad]


def test_changed_copies_are_found_and_other_ads_are_not(authored: list[Template]) -> None:
    chance = random.Random(7)
    rows = [("as it was", ad.text, number) for number, ad in enumerate(authored[::3])]
    rows += [(what, text, number) for number, ad in enumerate(authored[::3]) for what, text in changed(ad, chance)]
    chance.shuffle(rows)
    kinds, texts, truth = zip(*rows, strict=True)
    found = groups(texts)
    recall, precision = judged(truth, found)
    assert recall >= 0.95
    assert precision >= 0.98
    original = {number: group for kind, number, group in zip(kinds, truth, found, strict=True) if kind == "as it was"}
    by_kind: dict[str, list[bool]] = {}
    for kind, number, group in zip(kinds, truth, found, strict=True):
        by_kind.setdefault(kind, []).append(group == original[number])
    assert len(by_kind) == 7
    assert all(np.mean(same) >= 0.93 for same in by_kind.values()), {k: np.mean(v) for k, v in by_kind.items()}


def test_ads_of_the_demo_fall_into_the_families_they_were_made_from(authored: list[Template]) -> None:
    made = [
        [ad.text for ad in demo_texts.make_ads([template], [f"demo_{number}_{copy}" for copy in range(8)], number)]
        for number, template in enumerate(authored[1::5])
    ]
    truth = [number for number, texts in enumerate(made) for _ in texts]
    recall, precision = judged(truth, groups([text for texts in made for text in texts]))
    assert recall >= 0.95
    assert precision >= 0.98


OLD = "verse coke en pillen in heel twente bezorging tot middernacht vaste klanten krijgen korting vraag de lijst"
NEW = (
    "lachgas tanks groot afhalen bij ons magazijn utrecht alleen overdag geen bezoek zonder afspraak contant betalen nu"
)


def test_a_chain_of_small_changes_is_not_one_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """One word after the other is exchanged, until nothing of the ad is left: its ends are different ads."""
    old, new = OLD.split(), NEW.split()
    chain = [" ".join(new[:step] + old[step:]) for step in range(len(old) + 1)]
    found = groups(chain)
    assert found[0] == found[1] == found[2]
    assert found == sorted(found), "a family is one stretch of the chain"
    assert max(Counter(found).values()) <= len(chain) // 2
    monkeypatch.setattr(near_copies, "OF_A_GROUP", 0.0)
    assert len(set(groups(chain))) == 1, "links alone would make it one"


def test_twins_that_differ_in_meaning_by_one_word_are_one_family() -> None:
    ad = "coke 1g 50, keta 25, lijst op aanvraag, alleen"
    assert len(set(groups([f"{ad} bezorgen", f"{ad} afhalen"]))) == 1


@pytest.mark.parametrize(
    "other",
    [
        "WIET EN HASJ, 10 GRAM 70, STUUR @Ander_1",
        "w i e t en h4sj, 5 gram 40, stuur @winkel_1",
        "wіet  en hasj,\n5 gram 40, stuur @winkel_1",
        "wiet en hasj, 5 gram 40, stuur https://t.me/ander",
    ],
)
def test_case_contacts_amounts_and_disguise_make_no_difference(other: str) -> None:
    assert len(set(groups(["wiet en hasj, 5 gram 40, stuur @winkel_1", other]))) == 1


def test_signatures_estimate_the_similarity_of_triples(authored: list[Template]) -> None:
    texts = near_copies.plain(pl.Series([ad.text for ad in authored[::20]])).to_list()
    mixed = [
        f"{one[: len(one) * 2 // 3]}{other[: len(one) // 3]}" for one, other in zip(texts, texts[1:], strict=False)
    ]

    def triples(text: str) -> set[str]:
        padded = f"  {text.strip()} "
        return {padded[at : at + 3] for at in range(len(padded) - 2)}

    one, other = (near_copies.signatures(pl.Series(each)) for each in (texts[:-1], mixed))
    estimated = (one == other).mean(axis=1)
    again = near_copies.plain(pl.Series(mixed))
    exact = [
        len(triples(a) & triples(b)) / len(triples(a) | triples(b)) for a, b in zip(texts[:-1], again, strict=True)
    ]
    assert abs(np.mean(estimated - exact)) < 0.02
    assert np.std(estimated - exact) < 0.07


def test_no_text_and_texts_of_nothing() -> None:
    assert groups([]) == []
    assert groups(["\u200b", "x", "\u2060"]) == [0, 1, 0]


# --- tables ---------------------------------------------------------------------------------------------------


def bucket(ads: Sequence[tuple[str, str, str | None, int]], **labels: Sequence[str]) -> Bucket:
    """A bucket of ads: (text, chat, seller, day of January 2024); labels: name -> texts that have it."""
    rows = [
        {
            "text_id": text_id(text),
            "peer_kind": "channel",
            "chat_id": int(chat),
            "seller": seller,
            "local_time": datetime(2024, 1, day),
        }
        for text, chat, seller, day in ads
    ]
    listings = pl.DataFrame(rows, schema_overrides={"seller": pl.String})
    texts = pl.DataFrame(
        [
            {"text_id": text_id(text), "text": text, "score": 0.9}
            | {label: text in labels.get(label, ()) for label in LABELS}
            for text in sorted({ad[0] for ad in ads})
        ],
        schema_overrides={"score": pl.Float32},
    )
    none = pl.LazyFrame(schema={"text_id": pl.Binary, "place": pl.String})
    return Bucket(listings.lazy(), listings.lazy(), texts.lazy(), none, none)


CHEAP, DEAR = "coke 1g 50, heel Twente, app @demo_1", "coke 1g 60, heel Twente, app @demo_2"
OTHER = "lachgas tanks, afhalen in Utrecht"
ADS = [(CHEAP, "1", "a", 3), (CHEAP, "2", "a", 5), (CHEAP, "2", None, 2), (DEAR, "3", "b", 9), (OTHER, "1", "a", 7)]


def test_the_row_of_a_family() -> None:
    whole = bucket(ADS, harddrugs=[CHEAP, DEAR], bezorging=[DEAR], softdrugs=[OTHER])
    table = families.merge_families(families.partial(whole)).collect()
    name = min(text_id(CHEAP).hex(), text_id(DEAR).hex())
    assert table.rows() == [
        (name, 2, 4, 3, 2, datetime(2024, 1, 2), datetime(2024, 1, 9), "harddrugs, bezorging", CHEAP),
        (text_id(OTHER).hex(), 1, 1, 1, 1, datetime(2024, 1, 7), datetime(2024, 1, 7), "softdrugs", OTHER),
    ]
    texts = families.merge_texts(families.partial(whole)).collect()
    assert dict(texts.select("text", "family").rows()) == {CHEAP: name, DEAR: name, OTHER: text_id(OTHER).hex()}
    assert texts.select("messages", "chats", "sellers").row(0) == (3, 2, 1)


def test_a_corpus_without_ads_has_no_families() -> None:
    whole = bucket(ADS)
    none = dataclasses.replace(whole, listings=whole.listings.filter(False), texts=whole.texts.filter(False))
    part = families.partial(none)
    assert (
        families.merge_families(part).collect().columns
        == families.merge_families(families.partial(whole)).collect().columns
    )
    assert families.merge_families(part).collect().height == families.merge_texts(part).collect().height == 0


def test_example_texts_are_covered() -> None:
    part = families.partial(bucket(ADS))
    tables = {"texts": families.merge_texts(part).collect(), "families": families.merge_families(part).collect()}
    others = {
        "chats": pl.DataFrame({"chat_title": ["x", None, "Menu 0470123456 en 06/12345678"]}),
        "seller_links": pl.DataFrame({"handle": ["demo_1"]}),
    }
    shown = masked(tables | others)
    assert not any("demo_" in text for name in tables for text in shown[name]["text"])
    assert "coke 1g 50" in shown["families"]["text"][0]
    assert shown["chats"]["chat_title"].to_list() == ["x", None, "Menu ••• en •••"]


def test_the_number_of_buckets_makes_no_difference(authored: list[Template]) -> None:
    texts = [ad.text for template in authored[::40] for ad in demo_texts.make_ads([template], ["a_1", "b_2", "c_3"], 1)]
    ads = [(text, str(number % 7), "abc"[number % 3], number % 28 + 1) for number, text in enumerate(texts * 2)]
    expected = families.merge_families(families.partial(bucket(ads))).collect()
    assert expected.height < len(texts)
    for buckets in (2, 16):
        split = [[ad for ad in ads if text_id(ad[0])[0] * buckets // 256 == number] for number in range(buckets)]
        parts = [families.partial(bucket(part)).collect() for part in reversed(split)]
        assert families.merge_families(pl.concat(parts).lazy()).collect().equals(expected)


def test_families_add_up_to_all_ads(tmp_path: Path, small_demo: conftest.Demo, one_model: list[FakeModel]) -> None:
    one_model.append(small_demo.oracle())
    url = str(tmp_path / "corpus")
    conftest.ingest([small_demo.exports], url)
    conftest.score(url)
    found = conftest.tables(url, small_demo.oracle()).tables
    table, texts, totals = found["families"], found["texts"], found["totals"].row(0, named=True)
    assert table["messages"].sum() == totals["messages"]
    assert table["texts"].sum() == totals["texts"] > table.height
    assert set(table["family"]) == set(texts["family"]) <= set(texts["text_id"])
    assert table["family"].is_unique().all()
