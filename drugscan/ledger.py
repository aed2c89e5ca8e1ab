"""The ledger: what became of every message that was read. It must add up, or the run fails."""

from collections import Counter
from typing import Final

from drugscan.corpus import CorpusError

_EQUATIONS: Final = (
    ("read", ("kept", "rejects", "service", "private")),
    ("kept", ("current", "duplicates", "superseded")),
    ("current", ("scored", "empty", "pending", "failed", "outside")),
    ("scored", ("listings", "below_threshold")),
)
"""The ledger: each left side is the sum of its right side, or the run fails."""


def balanced(counts: Counter[str]) -> dict[str, int]:
    """The ledger with every line present; raises `CorpusError` when it does not add up."""
    ledger = {name: counts[name] for whole, parts in _EQUATIONS for name in (whole, *parts)} | dict(counts)
    ledger["below_threshold"] = ledger["scored"] - ledger["listings"]
    for whole, parts in _EQUATIONS:
        if ledger[whole] != sum(ledger[part] for part in parts) or min(ledger[part] for part in parts) < 0:
            sides = " + ".join(f"{part} {ledger[part]:,}" for part in parts)
            raise CorpusError(
                f"the ledger does not add up: {whole} {ledger[whole]:,} is not {sides}; this is a fault of drugscan"
            )
    return ledger
