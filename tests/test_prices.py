"""Prices: what is read from a menu, what is not, how well that is known, and the tables made from it."""

import json
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drugscan import drug_names, price_statistics, prices, substances
from drugscan.listings import Bucket
from drugscan.report import evidence
from drugscan.statistics import Statistic
from tests.conftest import REPOSITORY
from tests.test_drug_names import frame

HARD = ("harddrugs", "designer")


def offers(text: str, *labels: str) -> list[tuple[str, float, str, float]]:
    ads = drug_names.plain_texts(frame([(text, labels or HARD)]))
    return prices.find(ads, drug_names.mentions(ads)).select("drug", "amount", "unit", "price_eur").rows()


@pytest.mark.parametrize(
    "text",
    [
        "coke 1g 50",
        "coke 1 gram €50",
        "1 gram coke 50 euro",
        "1 g coke 50,-",
        "coke 50 pg",
        "coke 50 p/g",
        "coke per gram 50",
        "coke 50 de gram",
        "coke\n1g ..... 50",
        "coke: 1 = 50",
        "coke 1 voor 50",
        "C0k3 1g = 50€",
        "❄️ 1g 50",
    ],
)
def test_one_gram_for_fifty(text: str) -> None:
    assert offers(text) == [("cocaine", 1.0, "gram", 50.0)]


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("ket 1g 25 / 2,5g 60 / 5g 110", HARD, [(1, "gram", 25), (2.5, "gram", 60), (5, "gram", 110)]),
        ("XTC\n5 voor 20\n10st €25", HARD, [(5, "piece", 20), (10, "piece", 25)]),
        ("speed 1 kg 1.100 / 5 kilo 4 500", HARD, [(1000, "gram", 1100), (5000, "gram", 4500)]),
        ("ketamine per kilo 6k", HARD, [(1000, "gram", 6000)]),
        ("halve kilo speed 600", HARD, [(500, "gram", 600)]),
        ("GHB 1 liter 110, 50ml 20", HARD, [(1000, "ml", 110), (50, "ml", 20)]),
        ("mdma: 20 euro voor 1 gram", HARD, [(1, "gram", 20)]),
        ("Diazepam 10mg 20 st 25", ("medicijnen",), [(20, "piece", 25)]),
        ("Lyrica 300 | 10 = 25", ("medicijnen",), [(10, "piece", 25)]),
        ("haze: vanaf 250g, 4,10 p/g", ("softdrugs",), [(250, "gram", 1025)]),
        ("Coke ½ gram 30", HARD, [(0.5, "gram", 30)]),
        ("Coke 1/2 gram 30", HARD, [(0.5, "gram", 30)]),
        ("1/2 gram coke 30 euro", HARD, [(0.5, "gram", 30)]),
        ("coke 30 voor 1/2 gram", HARD, [(0.5, "gram", 30)]),
        ("coke 1/2 = 30", HARD, [(0.5, "gram", 30)]),
        ("Coke 1/4 gram 15", HARD, [(0.25, "gram", 15)]),
        ("coke 1 1/2 gram 70", HARD, [(1.5, "gram", 70)]),
        ("coke 1½ gram 70", HARD, [(1.5, "gram", 70)]),
        ("coke 1g 50 1/2 gram 30", HARD, [(1, "gram", 50), (0.5, "gram", 30)]),
        ("coke ¼g 15 ½g 28 1g 50", HARD, [(0.25, "gram", 15), (0.5, "gram", 28), (1, "gram", 50)]),
        ("speed 1/2 kilo 600", HARD, [(500, "gram", 600)]),
        ("xtc 5/2 stuks", HARD, [(2, "piece", 5)]),
        ("lachgas 2 kg tank 80", ("softdrugs",), [(2000, "gram", 80)]),
    ],
)
def test_amounts_by_hand(text: str, labels: tuple[str, ...], expected: list[tuple[float, str, float]]) -> None:
    assert [row[1:] for row in offers(text, *labels)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "coke, bel 06-12345678",
        "coke 24/7, 14:00 - 22:00",
        "coke sinds 01-02-2023, 1012 AB 50",
        "xtc 220 mg",
        "Diazepam 10mg 1,50",
        "coke, minimaal 50 euro, bezorgkosten 5",
        "coke: 3 halen 2 betalen",
        "coke 50",
        "coke / ket / speed\n1g 50",
        "2 g coke, 5 xtc en 1 g speed = 115",
        "coke\nBrief (tot 10 g) 5,00",
        "1g 50",
        "coke 1g 5000",
        "coke 1/2 gram, bel",
        "coke 1/2/5 gram 50/90/200",
    ],
)
def test_no_price(text: str) -> None:
    assert offers(text, "harddrugs", "designer", "medicijnen") == []


def test_a_line_without_a_name_has_the_drug_of_its_heading() -> None:
    text = "❄️ Coke\n1g 50\n\n💊 XTC\n5st 15\n\nvage naam 1g 12"
    assert offers(text) == [("cocaine", 1, "gram", 50), ("xtc", 5, "piece", 15)]
    assert offers("1g 50\n5g 200\nverse ketamine") == [("ketamine", 1, "gram", 50), ("ketamine", 5, "gram", 200)]


def test_the_mark_of_a_price_holds_the_whole_fraction() -> None:
    (pieces,) = evidence.pieces([{"text": "é Coke 1½ gram 70 bel", "labels": "harddrugs"}])
    assert [piece.text for piece in pieces if piece.kind == "price"] == ["1½ gram 70"]


def test_pills_are_the_unit_of_the_drug_before_them() -> None:
    """No xtc, although the ad has the label of it."""
    menu = "Coke 1g 50\nViagra 10 pillen 15\nXanax 20 pillen 30"
    assert offers(menu, *HARD, "medicijnen") == [
        ("cocaine", 1, "gram", 50),
        ("sildenafil", 10, "piece", 15),
        ("alprazolam", 20, "piece", 30),
    ]
    assert offers("2cb 10 pillen voor 35") == [("2c-b", 10, "piece", 35)]
    ladder = "Xanax 2mg, 10 pillen 15, 20 pillen 25 / 50 pillen 50"
    expected = [("alprazolam", amount, "piece", price) for amount, price in ((10, 15), (20, 25), (50, 50))]
    assert offers(ladder, *HARD, "medicijnen") == expected


def test_nothing_in_nothing_out() -> None:
    ads = drug_names.plain_texts(frame([]))
    assert prices.find(ads, drug_names.mentions(ads)).schema == prices.OFFERS


@pytest.mark.parametrize(("half", "precision", "recall"), [("tuning", 0.98, 0.89), ("held_out", 0.95, 0.86)])
def test_precision_and_recall_by_hand(half: str, precision: float, recall: float) -> None:
    """What docs/decisions.md says of prices must stay true."""
    file = REPOSITORY / "tests" / "labelled" / "prices.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    labelled = [line for line in lines if line["half"] == half]
    ads = drug_names.plain_texts(frame((line["text"], line["labels"]) for line in labelled))
    rows = prices.find(ads, drug_names.mentions(ads)).select("text_id", "drug", "amount", "unit", "price_eur")
    said = {(int.from_bytes(number, "big"), *offer) for number, *offer in rows.iter_rows()}
    true = {(i, *offer) for i, line in enumerate(labelled) for offer in line["offers"]}
    assert len(said & true) / len(said) >= precision
    assert len(said & true) / len(true) >= recall


# --- the tables -----------------------------------------------------------------------------------------------

TABLES = {
    "drugs": Statistic(substances.partial, substances.merge),
    "prices": Statistic(price_statistics.partial, price_statistics.merge_prices),
    "prices_by_region": Statistic(price_statistics.partial, price_statistics.merge_by_region),
    "prices_by_month": Statistic(price_statistics.partial, price_statistics.merge_by_month),
}
Text = tuple[str, list[str], list[tuple[str, int]]]
"""A text, its provinces, and who posted it on which day of 2024 (of January, from 32 on of later months)."""


def bucket(texts: list[Text]) -> Bucket:
    found = frame((text, HARD) for text, _, _ in texts)
    ids = [text.encode()[:16] for text, _, _ in texts]
    found = found.with_columns(text_id=pl.Series(ids, dtype=pl.Binary))
    ads = drug_names.plain_texts(found)
    named = drug_names.mentions(ads)
    provinces = pl.Series([provinces for _, provinces, _ in texts], dtype=pl.List(pl.String))
    rows = [
        (id_, seller, datetime(2024, 1 + day // 32, 1 + day % 32 % 28))
        for id_, (_, _, posts) in zip(ids, texts, strict=True)
        for seller, day in posts
    ]
    schema = {"text_id": pl.Binary, "seller": pl.String, "local_time": pl.Datetime("us")}
    empty = pl.LazyFrame()
    return Bucket(
        empty,
        pl.LazyFrame(rows, schema=schema, orient="row"),
        found.with_columns(provinces=provinces).lazy(),
        empty,
        empty,
        drugs=drug_names.drugs_of(named).lazy(),
        offers=prices.find(ads, named).lazy(),
    )


def tables(buckets: list[Bucket]) -> dict[str, pl.DataFrame]:
    return {
        name: table.merge(pl.concat([table.partial(part).collect() for part in buckets]).lazy()).collect()
        for name, table in TABLES.items()
    }


MENUS: list[Text] = [
    (f"{number} coke 1g {price} / 10g {price * 8}", ["Utrecht"], [("a", 1), ("b", 40)])
    for number, price in enumerate((40, 45, 50, 50, 60, 70))
] + [
    ("coke 100g 3000", ["Utrecht"], [("c", 3)]),
    ("coke 1g 5", ["Zeeland"], [("d", 3)]),
    ("xtc 5 voor 20", [], [("a", 2)]),
]


def test_prices_by_hand() -> None:
    found = tables([bucket(MENUS)])
    coke = found["prices"].filter(pl.col("drug") == "cocaine").row(0, named=True)
    assert (coke["offers"], coke["texts"], coke["sellers"]) == (14, 8, 4)
    assert (coke["retail_offers"], coke["lower_quartile"], coke["median"], coke["upper_quartile"]) == (6, 45, 50, 60)
    assert (coke["ladder_texts"], coke["ladder_ratio"]) == (6, 0.8)
    region = found["prices_by_region"]
    assert region.select("province", "drug", "texts", "sellers", "median").rows() == [
        ("Utrecht", "cocaine", 6, 2, 50.0)
    ]
    assert [str(month) for month in found["prices_by_month"]["month"]] == ["2024-01-01", "2024-02-01"]
    drugs = found["drugs"].rows(named=True)
    assert [(row["drug"], row["messages"], row["texts"], row["sellers"]) for row in drugs] == [
        ("cocaine", 14, 8, 4),
        ("xtc", 1, 1, 1),
    ]
    assert drugs[0]["label"] == "harddrugs"
    assert (drugs[0]["first_seen"], drugs[0]["last_seen"]) == (datetime(2024, 1, 2), datetime(2024, 2, 9))


def test_a_menu_of_five_strains_counts_once() -> None:
    """Its median is 7: of 7, 12, 13 and 14 the median is 12.50, not that of eight prices."""
    menu = "\n".join(
        f"wiet {name} 1g {price}" for name, price in zip("abcde", ("6", "6,50", "7", "7,50", "8"), strict=True)
    )
    ads = [f"wiet 1g {price}" for price in (12, 13, 14)]
    found = tables([bucket([(text, ["Utrecht"], [(str(number), 1)]) for number, text in enumerate([menu, *ads])])])
    weed = found["prices"].row(0, named=True)
    assert (weed["offers"], weed["texts"], weed["retail_offers"]) == (8, 4, 4)
    assert (weed["lower_quartile"], weed["median"], weed["upper_quartile"]) == (9.5, 12.5, 13.5)


def test_no_ads_no_rows() -> None:
    assert all(table.is_empty() for table in tables([bucket([])]).values())


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=len(MENUS), max_size=len(MENUS)))
def test_any_split_into_buckets_gives_the_same_tables(split: list[int]) -> None:
    parts = [bucket([menu for menu, at in zip(MENUS, split, strict=True) if at == part]) for part in range(3)]
    one, many = tables([bucket(MENUS)]), tables(parts)
    assert all(one[name].equals(many[name]) for name in TABLES)
