"""What a journalist would write: json.load, pandas, scikit-learn's predict, groupby.

The pair has the same kinds of features as the one that ships (words 1-2, characters 2-5, logistic regression) and is
trained on the same messages. It scores every distinct text once, as anybody would who has waited for it once.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from drugscan.schema import LABELS

AUTHORED = Path(__file__).parent.parent / "data" / "authored"


def model() -> Pipeline:
    """Detector and categoriser as one multi-output pipeline, as NOS published theirs."""
    lines = [json.loads(line) for path in sorted(AUTHORED.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
    right = [[line["drugsad"], *(label in line["labels"] for label in LABELS)] for line in lines]
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
    classifier = MultiOutputClassifier(LogisticRegression(C=10.0, solver="liblinear"))
    return make_pipeline(FeatureUnion([("words", words), ("characters", characters)]), classifier).fit(
        [line["text"] for line in lines], right
    )


def flat(text: object) -> str:
    """Telegram's text as one string."""
    if isinstance(text, str):
        return text
    return "".join(part if isinstance(part, str) else part["text"] for part in text)  # type: ignore[attr-defined]


def load(folder: Path) -> pd.DataFrame:
    """All messages of all exports below a folder, newest version of each."""
    rows = []
    for path in sorted(folder.rglob("result.json")):
        export = json.loads(path.read_text(encoding="utf-8"))
        for chat in export["chats"]["list"] if "chats" in export else [export]:
            if chat["type"] == "personal_chat":
                continue
            for message in chat["messages"]:
                if message["type"] == "message":
                    edited = int(message.get("edited_unixtime", 0))
                    sender = None if "forwarded_from" in message else message.get("from_id")
                    sent = int(message["date_unixtime"])
                    rows.append((chat["id"], message["id"], edited, sent, sender, flat(message["text"])))
    frame = pd.DataFrame(rows, columns=["chat", "id", "edited", "sent", "sender", "text"])
    return frame.sort_values("edited").drop_duplicates(["chat", "id"], keep="last")


def main() -> None:
    """Read, score, group; the number of ads is the last line."""
    classifier = model()
    frame = load(Path(sys.argv[1]))
    texts = frame.loc[frame["text"] != "", "text"].drop_duplicates()
    said = pd.DataFrame(classifier.predict(texts), index=texts, columns=["drugsad", *LABELS])
    ads = frame.join(said, on="text").query("drugsad == True")
    tables = [ads.groupby("sender").size(), ads[list(LABELS)].sum(), ads.groupby("text").size()]
    tables.append(ads.groupby(pd.to_datetime(ads["sent"], unit="s").dt.to_period("M")).size())
    print(json.dumps({"ads": len(ads), "rows": [len(table) for table in tables]}))


if __name__ == "__main__":
    main()
