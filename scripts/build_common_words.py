"""Write drugscan/data/common_words.txt: words that stand after `Signal:` and the like without being a name.

They are the words of three letters or more that three authored messages hold outside handles and links, and the
single words among the names of places and drugs; without accents, as `handles` reads only ASCII names.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

ROOT: Final = Path(__file__).parents[1]
DATA: Final = ROOT / "drugscan" / "data"
MESSAGES: Final = 3
"""In how many messages a word must stand."""
_HANDLE: Final = re.compile(r"(?:@|t\.me/|https?://|www\.)\S+")
_WORD: Final = re.compile(r"(?<![\w@./+\-])[a-z]{3,}(?![\w@/])", re.ASCII)


def authored() -> Iterator[str]:
    """The texts of the authored messages."""
    for file in sorted((ROOT / "data" / "authored").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["text"]


def main() -> int:
    """Write the list; a word a line, sorted."""
    counts: Counter[str] = Counter()
    for text in authored():
        counts.update(set(_WORD.findall(_HANDLE.sub(" ", text).lower())))
    words = {word for word, count in counts.items() if count >= MESSAGES}
    for file, column in (("places.csv", "place"), ("drug_names.csv", "name")):
        names = pl.read_csv(DATA / file)[column].str.to_lowercase().to_list()
        words |= {name for name in names if _WORD.fullmatch(name)}
    (DATA / "common_words.txt").write_text("\n".join(sorted(words)) + "\n", encoding="utf-8")
    print(f"{len(words)} words")
    return 0


if __name__ == "__main__":
    sys.exit(main())
