"""Drug names: what counts as a name, what does not, and how well that is known."""

import json
from collections.abc import Iterable

import polars as pl
import pytest

from drugscan import drug_names
from drugscan.schema import KIND_LABELS, LABELS
from drugscan.text import canonical
from tests.conftest import REPOSITORY


def frame(ads: Iterable[tuple[str, Iterable[str]]]) -> pl.DataFrame:
    """Texts with their labels, as `drug_names.find` takes them."""
    rows = [
        (i.to_bytes(16, "big"), canonical(text), *(x in labels for x in LABELS)) for i, (text, labels) in enumerate(ads)
    ]
    return pl.DataFrame(
        rows, schema={"text_id": pl.Binary, "text": pl.String} | dict.fromkeys(LABELS, pl.Boolean), orient="row"
    )


def found(text: str, *labels: str) -> list[str]:
    return drug_names.find(frame([(text, labels)]))["drug"].to_list()


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("coke 50, 3-MMC 15 en 2 c b", ("harddrugs", "designer"), ["cocaine", "3-mmc", "2-cb"][:2] + ["2c-b"]),
        ("3mmc / 3 mmc / 3-mmc", ("designer",), ["3-mmc"]),
        ("1P-LSD zegels", ("designer", "harddrugs"), ["1p-lsd"]),
        ("c0k3 en k3t4", ("harddrugs",), ["cocaine", "ketamine"]),
        ("wit 50", ("harddrugs",), ["cocaine"]),
        ("wit 50", ("softdrugs",), []),
        ("wit 50", (), []),
        ("bruin 30", ("harddrugs",), ["heroin"]),
        ("bruin 8", ("softdrugs",), ["hash"]),
        ("bruin 30", ("softdrugs", "harddrugs"), []),
        ("speed 5, poes 15", ("harddrugs",), ["amphetamine"]),
        ("❄️❄️ 🐴", ("harddrugs",), ["cocaine", "ketamine"]),
        ("🍫", ("medicijnen",), []),
        ("Xanax, Lyrica", (), ["alprazolam", "pregabalin"]),
        ("pakket met ketting en hazelnoot", ("harddrugs", "softdrugs"), ["ketamine"]),
        ("@coke_plug t.me/wiet", ("harddrugs",), []),
        ("geen coke, wel ketamine", ("harddrugs",), ["ketamine"]),
        ("coke is op, ketamine niet", ("harddrugs",), ["ketamine"]),
        ("coke op afspraak", ("harddrugs",), ["cocaine"]),
        ("IN: 3-MMC\nUIT: 4-FA, Xanax", ("designer",), ["3-mmc"]),
        ("Viagra 10 pillen 15\nXanax 20 pillen 30", ("harddrugs", "medicijnen"), ["sildenafil", "alprazolam"]),
        ("2cb 10 pillen voor 35", ("harddrugs", "designer"), ["2c-b"]),
        ("1p-lsd 10 zegels 60", ("harddrugs", "designer"), ["1p-lsd"]),
        ("coke 1g 50, 10 pillen 20", ("harddrugs",), ["cocaine", "xtc"]),
        ("2x oxy 40, 5x pil", ("harddrugs", "medicijnen"), ["oxycodone", "xtc"]),
        ("Viagra 10 st 15\n\n10 pillen 20", ("harddrugs", "medicijnen"), ["sildenafil", "xtc"]),
        ("ترامادول", ("medicijnen",), ["tramadol"]),
        ("zioło, haszysz i feta", ("softdrugs", "harddrugs"), ["cannabis", "hash", "amphetamine"]),
        ("esrar ve beyaz", ("softdrugs", "harddrugs"), ["hash", "cocaine"]),
    ],
)
def test_names_by_hand(text: str, labels: tuple[str, ...], expected: list[str]) -> None:
    assert found(text, *labels) == expected


def test_nothing_in_nothing_out() -> None:
    assert drug_names.find(frame([])).schema == drug_names.DRUGS
    assert found("") == []


def test_the_lexicon_is_sound() -> None:
    """Each meaning once; a drug has one label; what is no ambiguous word means one drug."""
    names = drug_names.lexicon()
    assert names.height >= 400
    assert names["drug"].n_unique() >= 80
    assert set(names["label"]) == set(KIND_LABELS)
    assert set(names["kind"]) == {"word", "ambiguous", "emoji"}
    assert not names.select("name", "drug").is_duplicated().any()
    assert names.group_by("drug").agg(pl.col("label").n_unique())["label"].max() == 1
    assert names.filter(pl.col("kind") == "word")["name"].is_unique().all()


@pytest.mark.parametrize(("half", "precision", "recall"), [("tuning", 0.98, 0.95), ("held_out", 0.97, 0.92)])
def test_precision_and_recall_by_hand(half: str, precision: float, recall: float) -> None:
    """What docs/decisions.md says of drug names must stay true."""
    file = REPOSITORY / "tests" / "labelled" / "drug_names.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    ads = [line for line in lines if line["half"] == half]
    rows = drug_names.find(frame((ad["text"], ad["labels"]) for ad in ads))
    said: dict[int, set[str]] = {}
    for number, drug in rows.select("text_id", "drug").iter_rows():
        said.setdefault(int.from_bytes(number, "big"), set()).add(drug)
    hits = sum(len(said.get(i, set()) & set(ad["drugs"])) for i, ad in enumerate(ads))
    assert hits / sum(map(len, said.values())) >= precision
    assert hits / sum(len(ad["drugs"]) for ad in ads) >= recall
