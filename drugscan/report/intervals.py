"""What an audit says of the figures: corrected, with their 95 % intervals; nothing until there is an audit."""

from collections.abc import Mapping
from typing import Any, Final

from drugscan.audit import Audit, Rate
from drugscan.report.language import NOTHING, Language
from drugscan.schema import DETECTOR_LABEL, LABELS

_OUTPUTS: Final = {"ads": DETECTOR_LABEL, **{f"label.{label}": label for label in LABELS}}
"""Where an output stands in the keys of an audit -> its name."""


def context(audit: Audit | None, language: Language) -> dict[str, Any]:
    """For the template: the audit, its figures by key, and the rates and agreement that it has, with their words."""
    if audit is None:
        return {"audit": None, "figures": {}, "audit_rates": []}
    rates = [
        (language(kind, output=name), rate)
        for key, name in _OUTPUTS.items()
        for kind in ("precision", "recall")
        if (rate := audit.rates.get(f"{key}.messages.{kind}"))
    ]
    agreed = [
        (language("agreement", output=output), Rate(each.alpha, each.lower, each.upper))
        for output, each in audit.agreement.items()
    ]
    return {"audit": audit, "figures": audit.figures, "audit_rates": rates + agreed}


def threshold(provenance: Mapping[str, Any], language: Language) -> str:
    """The least score of an ad, as the language writes it; a dash for results of an earlier version."""
    counted = provenance.get("counted")
    return NOTHING if counted is None else language.number(counted["selection"]["thresholds"][DETECTOR_LABEL], 2)
