"""From the labels of people to the figures of an audit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from drugscan import agreement, audit_frame, audit_labels, gazetteer, prevalence
from drugscan.agreement import OUTPUTS
from drugscan.audit import Audit, AuditError, Figure, Rate
from drugscan.audit_frame import UNITS, Drawing
from drugscan.audit_labels import Labels
from drugscan.audit_sample import LEAST_DRAWN
from drugscan.schema import LABELS

Floats = npt.NDArray[np.float64]
SIDES: Final = ("ads", *(f"label.{label}" for label in LABELS))
"""The beginning of the keys of the outputs, in the order of `OUTPUTS`."""
_LEAST_LABELLED: Final = 20
_SHARE_OF_HEAVIEST: Final = 0.9
"""Least share of the texts taken for certain that must be labelled. A few of them carry most messages, so that of a
part no interval can be told: with a third labelled 70 of 100 intervals held in simulations, with nine tenths 90."""


@dataclass(frozen=True)
class Material:
    """What there is to reckon with: the labelled texts and what is known of all texts."""

    texts: pl.DataFrame
    """The labelled texts of the sample, with `group` and `weight`."""
    truth: Floats
    """What people say of them, per output: 0, 1, or 0.5 when they are even; shape [n, 9]."""
    sizes: Floats
    """Texts of the frame in each group."""
    known: Mapping[str, float]
    """Over all texts: `messages`, `texts`, and the model's count of every figure."""

    @cached_property
    def said(self) -> Floats:
        """What the model says of the labelled texts, shape [n, 9]."""
        return self.texts.select(pl.col("is_ad", *LABELS).cast(pl.Float64)).to_numpy()

    def amounts(self, unit: str) -> Floats:
        """What each text amounts to, in messages or texts."""
        return self.texts["copies"].to_numpy().astype(np.float64) if unit == "messages" else np.ones(len(self.truth))


def result_of(drawing: Drawing, sample: pl.DataFrame, strata: pl.DataFrame, labels: Labels) -> Audit:
    """The audit that follows from the labels. Raises `AuditError` when there are too few."""
    judged = audit_labels.by_text(labels)
    texts = sample.filter(pl.col("text_id").is_in(list(judged)))
    least = min(_LEAST_LABELLED, sample.height)
    if texts.height < least:
        raise AuditError(f"only {texts.height} of {sample.height} texts are labelled; at least {least} must be")
    truth = np.stack([agreement.verdict(judged[text_id]) for text_id in texts["text_id"]])
    grouped, sizes = _grouped(texts, strata)
    known = {name: float(strata[name].sum()) for name in (*UNITS, *audit_frame.figure_keys())}
    material = Material(grouped, truth, sizes, known)
    figures, rates = _figures(material)
    return Audit(
        name=drawing.name,
        basis=drawing.basis,
        date=datetime.now(UTC).date().isoformat(),
        model=drawing.model,
        drawn=sample.height,
        labelled=texts.height,
        disputed=int((truth[:, 0] == 0.5).sum()),
        labellers=labels.labellers(),
        figures=figures,
        rates=rates,
        rogan_gladen=_classical(material),
        agreement=agreement.agreements(judged),
    )


def _grouped(texts: pl.DataFrame, strata: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """The labelled texts with `group` and `weight`, and the texts of the frame in each group.

    As a sheet is shuffled, what is labelled of a group is a random part of what was drawn of it: each text stands for
    as many drawn ones more (two-phase sampling: Cochran 1977, chapter 12). That does not hold over the border of
    stratum 0, which comes first.
    """
    labelled = dict(texts.group_by("stratum").len().iter_rows())
    heavy, rest = (strata.filter((pl.col("stratum") == 0) == first) for first in (True, False))
    _check(heavy, labelled, "texts that weigh most, the first of the sheet,", _SHARE_OF_HEAVIEST)
    _check(rest, labelled, "texts behind the heaviest ones", 0.0)
    groups = [group for part in (heavy, rest) for group in _joined(part, labelled)]
    numbers = {stratum: number for number, group in enumerate(groups) for stratum in group}
    group = pl.col("stratum").replace_strict(numbers, return_dtype=pl.Int64)
    wholes = strata.group_by(group=group).agg(pl.col("texts", "drawn").sum()).sort("group")
    found = texts.with_columns(group=group).join(wholes.select("group", "drawn"), on="group", maintain_order="left")
    weight = pl.col("drawn") / pl.len().over("group") / pl.col("probability")
    return found.with_columns(weight=weight), wholes["texts"].to_numpy().astype(np.float64)


def _check(strata: pl.DataFrame, labelled: Mapping[int, int], which: str, share: float) -> None:
    """Raises `AuditError` when fewer than this share of what was drawn of the strata, or three texts, are labelled."""
    done, drawn = sum(labelled.get(stratum, 0) for stratum in strata["stratum"]), int(strata["drawn"].sum())
    least = min(drawn, max(LEAST_DRAWN, math.ceil(drawn * share)))
    if done < least:
        raise AuditError(f"only {done} of the {drawn} {which} are labelled; label on, until {least} are")


def _joined(strata: pl.DataFrame, labelled: Mapping[int, int]) -> list[list[int]]:
    """Strata, each alone or with the next ones until three of its texts (or all it has) are labelled."""
    groups: list[list[int]] = [[]]
    seen = size = 0
    for stratum, number in strata.select("stratum", "texts").iter_rows():
        groups[-1].append(stratum)
        seen, size = seen + labelled.get(stratum, 0), size + number
        if seen >= min(LEAST_DRAWN, size):
            groups.append([])
            seen = size = 0
    last = groups.pop()
    if last and groups:
        groups[-1] += last
    elif last:
        groups = [last]
    return groups


class Part(NamedTuple):
    """Figures to estimate together, per labelled text in texts (not messages): see `prevalence.Sample`."""

    truth: Floats
    said: Floats
    amount: Floats
    keys: list[str]
    """Of each figure, without unit; empty where the model predicts nothing."""
    kin: npt.NDArray[np.int64]


def _whole(material: Material) -> Part:
    """What the tables count: ads, labels, and ads per province."""
    provinces = gazetteer.provinces()["province"].sort().to_list()
    claims = material.texts.select(pl.col("provinces").list.contains(each).alias(each) for each in provinces).to_numpy()
    truth = np.hstack([material.truth, material.truth[:, :1] * claims])
    said = np.hstack([material.said, material.said[:, :1] * claims])
    keys = [*SIDES, *(f"province.{each}" for each in provinces)]
    kin = np.concatenate([np.arange(len(SIDES)), np.zeros(len(provinces), np.int64)])
    return Part(truth, said, np.ones_like(truth), keys, kin)


def _found(material: Material) -> Part:
    """Of the outputs: what the model rightly calls one."""
    said = material.said
    return Part(material.truth * said, said, said, list(SIDES), np.arange(len(SIDES)))


def _missed(material: Material) -> Part:
    """Of the outputs: what the model does not see. It predicts none of these, so nothing is known beforehand."""
    missing = 1 - material.said
    return Part(material.truth * missing, np.zeros_like(missing), missing, [""] * len(SIDES), np.arange(len(SIDES)))


def _estimates(material: Material, part: Part, unit: str) -> prevalence.Estimates:
    """The estimates of a part in messages or texts, within what was seen and what can be."""
    amount = material.amounts(unit)[:, None]
    sample = prevalence.Sample(
        stratum=material.texts["group"].to_numpy(),
        weight=material.texts["weight"].to_numpy(),
        sizes=material.sizes,
        truth=part.truth * amount,
        predicted=part.said * amount,
        totals=np.array([material.known[f"{key}.{unit}"] if key else 0.0 for key in part.keys]),
        amount=part.amount * amount,
        kin=part.kin,
    )
    found = prevalence.corrected(sample)
    seen, not_so = sample.truth.sum(axis=0), (sample.amount - sample.truth).sum(axis=0)
    bounds = (seen, np.maximum(material.known[unit] - not_so, seen))
    return found._replace(**{name: np.clip(getattr(found, name), *bounds) for name in ("estimate", "lower", "upper")})


def _figures(material: Material) -> tuple[dict[str, Figure], dict[str, Rate]]:
    """Every figure, and precision and recall of every output."""
    figures, rates = {}, {}
    for unit in UNITS:
        part = _whole(material)
        whole, found, missed = (
            _estimates(material, each, unit) for each in (part, _found(material), _missed(material))
        )
        for column, key in enumerate(part.keys):
            counted = material.known[f"{key}.{unit}"]
            figures[f"{key}.{unit}"] = Figure(counted, *(float(whole[side][column]) for side in range(3)))
        for column, key in enumerate(SIDES):
            counted = figures[f"{key}.{unit}"].counted
            if counted:
                shares = (float(found[side][column]) / counted for side in range(3))
                rates[f"{key}.{unit}.precision"] = Rate(*(min(1.0, share) for share in shares))
        rates |= {f"{SIDES[column]}.{unit}.recall": rate for column, rate in _recalls(found, missed).items()}
    return figures, rates


def _recalls(found: prevalence.Estimates, missed: prevalence.Estimates) -> dict[int, Rate]:
    """Recall of each output of which there is any: found / (found + missed), by the limits of missed / found."""
    low, high = prevalence.ratio_limits(missed, found)
    there = np.flatnonzero(found.estimate > 0)
    return {
        int(column): Rate(
            float(found.estimate[column] / (found.estimate[column] + missed.estimate[column])),
            float(1 / (1 + high[column])),
            float(1 / (1 + low[column])),
        )
        for column in there
    }


def _classical(material: Material) -> dict[str, Figure]:
    """Rogan and Gladen's correction of the ads, from the sensitivity and specificity that the sample shows."""
    weight, found = material.texts["weight"].to_numpy(), {}
    for unit in UNITS:
        size, whole, counted = weight * material.amounts(unit), material.known[unit], material.known[f"ads.{unit}"]
        ads, others, said = size * material.truth[:, 0], size * (1 - material.truth[:, 0]), material.said[:, 0]
        if not ads.any() or not others.any():
            continue
        judged = prevalence.Judged(
            apparent=counted / whole,
            sensitivity=float(ads @ said / ads.sum()),
            specificity=float(others @ (1 - said) / others.sum()),
            ads=float(ads.sum() ** 2 / (ads @ ads)),
            others=float(others.sum() ** 2 / (others @ others)),
        )
        limits = prevalence.rogan_gladen(judged)
        if limits is not None:
            found[f"ads.{unit}"] = Figure(counted, *(whole * limit for limit in limits))
    return found


def disputes(sample: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """The texts on which people differ: number, text_id, text, who says what, and what counts (0, 1, 0.5)."""
    rows = []
    texts = {row["text_id"]: row for row in sample.select("number", "text_id", "text").iter_rows(named=True)}
    for text_id, said in audit_labels.by_text(labels).items():
        if agreement.disputed(said):
            each = (f"{one.labeller}: {' + '.join(o for o in OUTPUTS if o in one.outputs) or 'no ad'}" for one in said)
            counts = dict(zip(OUTPUTS, agreement.verdict(said).tolist(), strict=True))
            text = texts[text_id]
            rows.append({**text, "text_id": text_id.hex(), "said": "; ".join(sorted(each)), **counts})
    schema = {"number": pl.Int64, "text_id": pl.String, "text": pl.String, "said": pl.String}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(OUTPUTS, pl.Float64)).sort("number")


def tables(result: Audit, sample: pl.DataFrame, labels: Labels) -> dict[str, pl.DataFrame]:
    """The tables of an audit, by name: figures, rates, agreement, disputes (see docs/tables.md)."""
    figures = [(*key.rsplit(".", 1), f.counted, f.estimate, f.lower, f.upper) for key, f in result.figures.items()]
    rates = [(*key.rsplit(".", 2), r.estimate, r.lower, r.upper) for key, r in result.rates.items()]
    agreed = [(output, a.alpha, a.lower, a.upper, a.texts) for output, a in result.agreement.items()]
    numbers: dict[str, type[pl.DataType]] = dict.fromkeys(("counted", "estimate", "lower", "upper"), pl.Float64)
    limits: dict[str, type[pl.DataType]] = dict.fromkeys(("estimate", "lower", "upper"), pl.Float64)
    names: dict[str, type[pl.DataType]] = dict.fromkeys(("figure", "unit"), pl.String)
    alphas = {"output": pl.String, **dict.fromkeys(("alpha", "lower", "upper"), pl.Float64), "texts": pl.Int64}
    return {
        "figures": pl.DataFrame(figures, schema=names | numbers, orient="row"),
        "rates": pl.DataFrame(rates, schema={**names, "rate": pl.String, **limits}, orient="row"),
        "agreement": pl.DataFrame(agreed, schema=alphas, orient="row"),
        "disputes": disputes(sample, labels),
    }
