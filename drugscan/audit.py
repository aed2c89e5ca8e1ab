"""What an audit found: every figure of a corpus as counted, corrected, and with its interval.

People label a drawn sample of the distinct texts (`audit_sample`); `prevalence` turns their labels into corrected
figures; this module holds the results and finds the one that belongs to a set of tables.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from drugscan import storage

RESULT: Final = "result.json"


class AuditError(ValueError):
    """An audit that cannot be drawn or applied as asked; the message says what to do."""


class Figure(msgspec.Struct, frozen=True):
    """One count of the tables, as the model has it and corrected by what people saw; messages or texts."""

    counted: float
    """What the tables say."""
    estimate: float
    """What there is by the sample: prediction-powered, unbiased whatever the model does."""
    lower: float
    upper: float
    """The 95 % interval of `estimate`."""


class Rate(msgspec.Struct, frozen=True):
    """A share between 0 and 1 with its 95 % interval."""

    estimate: float
    lower: float
    upper: float


class Agreement(msgspec.Struct, frozen=True):
    """How far people agree on an output, beyond chance: Krippendorff's alpha (1 = always, 0 = as by chance)."""

    alpha: float
    lower: float
    upper: float
    texts: int
    """Texts that two or more people labelled."""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """`audit/NAME/result.json`: what people found in a sample of the scanned texts, and what follows."""

    name: str
    basis: str
    """See `basis_of`: an audit holds for exactly the tables of the same basis."""
    date: str
    """Day on which the labels were applied, ISO."""
    model: str
    drawn: int
    """Texts in the sample."""
    labelled: int
    """Of these, labelled by somebody."""
    disputed: int
    """Labelled texts on which people are even, ad or no ad: each counts half."""
    labellers: list[str]
    figures: dict[str, Figure]
    """By key: `ads.messages`, `ads.texts`, `label.LABEL.messages`, `province.PROVINCE.texts`, ..."""
    rates: dict[str, Rate]
    """By key: `ads.messages.precision`, `ads.texts.recall`, `label.LABEL.messages.precision`, ..."""
    rogan_gladen: dict[str, Figure]
    """`ads.messages` and `ads.texts` by the classical correction, to compare."""
    agreement: dict[str, Agreement]
    """By output (`drugsad` and the labels); empty when one person labelled."""


def basis_of(run_facts: Mapping[str, Any]) -> str | None:
    """Digest of what the counts of a run (its run.json) rest on: messages, model, selection, what was scored.

    The same for every run of the same counts, whatever the version of drugscan or the masking; null for runs of a
    version that did not record it.
    """
    counted, ledger = run_facts.get("counted"), run_facts["ledger"]
    if counted is None:
        return None
    return storage.digest(counted["digest"], str(ledger["scored"]), str(ledger["listings"]))


def folder(corpus_url: str, name: str) -> str:
    """Where the files of an audit lie."""
    return storage.join(corpus_url, "audit", name)


def write(corpus_url: str, result: Audit) -> str:
    """Store a result with its corpus; where it lies."""
    path = storage.join(folder(corpus_url, result.name), RESULT)
    storage.write_bytes(path, msgspec.json.format(msgspec.json.encode(result), indent=1))
    return path


def current(corpus_url: str, run_facts: Mapping[str, Any]) -> Audit | None:
    """The audit of exactly what a run (its run.json) counted; null = not audited.

    Of several the newest, of one day that with most labels.
    """
    basis = basis_of(run_facts)
    files = storage.list_files(storage.join(corpus_url, "audit")) if basis else []
    results = [_read(file) for file in files if file.endswith(f"/{RESULT}")]
    fitting = [result for result in results if result.basis == basis]
    return max(fitting, key=lambda result: (result.date, result.labelled, result.name), default=None)


def _read(path: str) -> Audit:
    try:
        return msgspec.json.decode(storage.read_bytes(path), type=Audit)
    except msgspec.MsgspecError as error:
        raise AuditError(f"{path} cannot be read: {error}; run `drugscan audit apply` again") from error
