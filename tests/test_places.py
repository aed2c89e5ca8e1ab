"""Places, contacts: what an ad claims, and what must be covered."""

import json
from typing import Any

import polars as pl
import pytest

from drugscan import contacts, gazetteer, places
from drugscan.demo_texts import PUZZLES
from drugscan.text import canonical
from tests.conftest import REPOSITORY


def frame(*texts: str) -> pl.DataFrame:
    rows = {"text_id": [i.to_bytes(16, "big") for i in range(len(texts))], "text": list(texts)}
    return pl.DataFrame(rows, schema={"text_id": pl.Binary, "text": pl.String})


def found(text: str) -> list[str]:
    return places.find(frame(text))["place"].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bezorging Utrecht, Nieuwegein", ["Utrecht", "Nieuwegein"]),
        ("020 en 010", ["Amsterdam", "Rotterdam"]),
        ("bel 020-1234567", []),
        ("mokum / agga", ["Amsterdam", "Den Haag"]),
        ("Bergen op Zoom", ["Bergen op Zoom"]),
        ("capelle a/d ijssel", ["Capelle aan den IJssel"]),
        ("'s-Hertogenbosch", ["Den Bosch"]),
        ("niet naar Lelystad, wel Almere", ["Almere"]),
        ("@plug_utrecht t.me/rotterdam", []),
        ("de best betaalde kamer, heel goed, echt waar", []),
        ("Eindhoven, Best, Son", ["Eindhoven", "Best", "Son"]),
        ("regio Twente", ["Twente"]),
        ("u\u200bt\u200brecht", ["Utrecht"]),
        ("heel Brabant", []),
        ("Antwerpen", ["Antwerpen"]),
        ("goedemorgen allemaal", []),
        ("Zw0ll3 en 3nschede", ["Zwolle", "Enschede"]),
        ("N I J M E G E N", ["Nijmegen"]),
        ("Z.a.a.n.d.a.m.", ["Zaandam"]),
        ("Аmѕtеrdаm", ["Amsterdam"]),
        ("Ηaarlem of Νijmegen", ["Haarlem", "Nijmegen"]),
        ("🅷🅰🅶🆄🅴 plug", ["Den Haag"]),
        ("ʟᴊᴏᴜᴡᴇʀᴛ", ["Leeuwarden"]),
        ("d̶e̶l̶f̶t̶", ["Delft"]),
        ("vl!$$ing€n", ["Vlissingen"]),
        ("Bredaaa", ["Breda"]),
        ("pil-\nlen Purme-\nrend", ["Purmerend"]),
        ("nelahpo ni tsieZ", ["Zeist"]),
        ("farlopa La Haya, Roterdã y Amberes", ["Den Haag", "Rotterdam", "Antwerpen"]),
        ("шишки в Роттердаме", ["Rotterdam"]),
        ("كوك أمستردام", ["Amsterdam"]),
        ("Deutekem, Grolle, Wenters", ["Doetinchem", "Groenlo", "Winterswijk"]),
        ("Scheveningen, Bijlmer, Pathmos, Hoogvliet", ["Den Haag", "Amsterdam", "Enschede", "Hoogvliet"]),
        ("Leidschendam-Voorburg", ["Leidschendam", "Voorburg"]),
        ("NIET: Oss, Den Bosch, Eindhoven", []),
        ("via mijn neef in Antwerpen, ik sta in Breda", ["Breda"]),
        ("coke 020, ben net weg uit Rotterdam", ["Amsterdam"]),
        ("jonge duiven, 2 weken oud", []),
        ("Arnhem, Velp, Duiven", ["Arnhem", "Velp", "Duiven"]),
        ("Rhoon. Rotterdam zelf doen we niet.", ["Rhoon"]),
        ("Eindhoven ja, Helmond nee, ook geen Best", ["Eindhoven"]),
        ("speed niet. zutphen, bel maar", ["Zutphen"]),
        ("ook Belgen welkom uit Gent, Zelzate", []),
        ("Zeist bij Utrecht", ["Zeist"]),
        ("ophalen bij Nijmegen", ["Nijmegen"]),
        ("Amsterdam flavour, Rotterdam Cheese", []),
        ("100 g € 1.050 en 010 st", []),
        ("033-0342: wij rijden", ["Amersfoort"]),
        ("Goes\nwit 50", ["Goes"]),
        ("goes en omstreken", ["Goes"]),
        ("meet by the mill in Leiden", ["Leiden"]),
        ("Groningen Friesland Drenthe", []),
        ("in elke wijk", []),
        ("Lelystad echt binnen het kwartier", ["Lelystad"]),
        ("Bussum graag, Naarden is te ver", ["Bussum"]),
        ("لاهاي وزوترمير", ["Den Haag", "Zoetermeer"]),
    ],
)
def test_places_by_hand(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_of_twins_the_neighbour_decides_else_the_largest() -> None:
    rows = places.find(frame("Hengelo", "Zutphen, Doetinchem, Hengelo"))
    assert rows.filter(pl.col("place") == "Hengelo").select("province", "reason").rows() == [
        ("Overijssel", "largest"),
        ("Gelderland", "with Gelderland"),
    ]


@pytest.mark.parametrize(
    ("text", "province"),
    [
        ("Bergen (L) of Valkenburg (L)", "Limburg"),
        ("Doorn (Utr)", "Utrecht"),
        ("Hasselt, Zwolle", "Overijssel"),
        ("Almere Buiten", "Flevoland"),
        ("bel 073 of kom naar Schijndel", "Noord-Brabant"),
    ],
)
def test_of_twins_what_stands_behind_decides(text: str, province: str) -> None:
    assert set(places.find(frame(text))["province"]) == {province}


def test_a_town_abroad_has_no_province() -> None:
    rows = places.find(frame("remise Hasselt gare", "Mechelen, Antwerpen"))
    assert rows["province"].to_list() == [None, None, None]


@pytest.mark.parametrize(
    ("text", "national"),
    [
        ("rest van Nederland per post", True),
        ("NL breed", True),
        ("verzending NL 4,95", True),
        ("NL/BE next day", True),
        ("wysyłka po całej Holandii", True),
        ("по всей Голландии", True),
        ("alleen NL", True),
        ("h33l NL", True),
        ("𝚑𝚎𝚎𝚕 𝙽𝙻", True),
        ("we ship from NL", False),
        ("brievenbuspost 🇳🇱🇧🇪", False),
        ("heel Utrecht", False),
        ("elk adres in Nederland", True),
        ("cała Holandia", True),
        ("de Holanda a España", False),
    ],
)
def test_what_is_said_of_the_whole_country(text: str, national: bool) -> None:
    assert places.regions(frame(text))["national"].item() is national


def test_every_alias_stands_for_a_place_with_a_province() -> None:
    rows = gazetteer.entries().filter(~pl.col("kind").is_in(["foreign", "never"]) & pl.col("province").is_null())
    aliases = pl.read_csv(REPOSITORY / "drugscan" / "data" / "place_aliases.csv")
    abroad = set(aliases.filter(pl.col("kind").str.contains("foreign"))["place"])
    over_several = {"Randstad", "Groene Hart", "Stedendriehoek", "De Peel"}
    assert set(rows["place"]) - abroad - over_several == set()
    assert aliases["alias"].is_duplicated().sum() == 0


def test_regions_have_one_row_per_text() -> None:
    rows = places.regions(frame("Utrecht en Zwolle", "niets", "heel Nederland", "heel Brabant"))
    assert rows["provinces"].to_list() == [["Overijssel", "Utrecht"], [], [], ["Noord-Brabant"]]
    assert rows["national"].to_list() == [False, False, True, False]


def test_nothing_in_nothing_out() -> None:
    assert places.find(frame()).schema == places.PLACES
    assert places.regions(frame()).height == 0
    assert found("") == []


def test_twelve_provinces_and_their_inhabitants() -> None:
    assert gazetteer.provinces()["population"].sum() == 17_947_684
    assert gazetteer.provinces().height == 12


def _authored_ads(traps: bool) -> list[dict[str, Any]]:
    files = sorted((REPOSITORY / "data" / "authored").glob("*.jsonl"))
    files = [file for file in files if (file.stem.removeprefix("authored-") in PUZZLES) == traps]
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["drugsad"]]


def _precision_and_recall(said: list[set[str]], true: list[set[str]]) -> tuple[float, float]:
    hits = sum(len(one & other) for one, other in zip(said, true, strict=True))
    return hits / sum(map(len, said)), hits / sum(map(len, true))


@pytest.mark.parametrize(
    ("traps", "of_places", "of_provinces"), [(False, (0.98, 0.96), (0.985, 0.955)), (True, (0.92, 0.92), (0.945, 0.92))]
)
def test_precision_and_recall_on_the_authored_ads(
    traps: bool, of_places: tuple[float, float], of_provinces: tuple[float, float]
) -> None:
    """What README and decisions say of the gazetteer must stay true."""
    ads = _authored_ads(traps)
    texts = frame(*(canonical(ad["text"]) for ad in ads))
    said: list[set[str]] = [set() for _ in ads]
    for number, place in places.find(texts).select("text_id", "place").iter_rows():
        said[int.from_bytes(number, "big")].add(place)
    precision, recall = _precision_and_recall(said, [set(ad["places"]) for ad in ads])
    assert precision >= of_places[0]
    assert recall >= of_places[1]
    regions = places.regions(texts)
    precision, recall = _precision_and_recall(
        [set(names) for names in regions["provinces"]], [set(ad["provinces"]) for ad in ads]
    )
    assert precision >= of_provinces[0]
    assert recall >= of_provinces[1]
    agreed = sum(said == ad["national"] for said, ad in zip(regions["national"], ads, strict=True))
    assert agreed / len(ads) >= 0.99


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("dm @plug_010 nu", "dm @••• nu"),
        ("https://t.me/+abc en wa.me/31612345678", "[link] en [link]"),
        ("app 06-12345678", "app 06•••"),
        ("+31 6 12 34 56 78 of 0031612345678", "06••• of 06•••"),
        ("06 1234 5678", "06•••"),
        ("mail jan@voorbeeld.nl", "mail •••@•••"),
        ("Signal: plug.99", "Signal: •••"),
        ("threema id ABCD1234", "threema id ABCD1234"),
        ("wickr dealer_99", "wickr •••"),
        ("3-mmc 100g 450, 10st €25, 06:00 tot 23:00", "3-mmc 100g 450, 10st €25, 06:00 tot 23:00"),
    ],
)
def test_contacts_are_covered_and_prices_are_not(text: str, covered: str) -> None:
    assert contacts.mask(text) == covered
    frame = pl.DataFrame({"t": [text]}).with_columns(contacts.mask_expression("t"))
    assert frame["t"][0] == covered
