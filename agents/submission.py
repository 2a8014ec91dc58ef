"""What a model submits, read leniently and turned into records. Called by agents/model.py. No model library here."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tools.records import Diagnosis, Hypothesis, Scalar, Suggestion, Usage

MAX_CLAIMS = 5
MAX_SUGGESTIONS = 3


def _fraction(given: object) -> object:
    """Read 85, "85%" and "0.85" alike."""
    if isinstance(given, str):
        given = float(given.strip().rstrip("%")) if re.fullmatch(r"\s*\d+(\.\d+)?\s*%?\s*", given) else given
    return given / 100 if isinstance(given, int | float) and 1 < given <= 100 else given


def _ids(given: object) -> object:
    """Read "E1, E2" and ["[E1]"] alike."""
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list):
        return items
    return [name for item in items for name in re.findall(r"[A-Za-z]*\d+", str(item))]


Fraction = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=1)]
Ids = Annotated[list[str], BeforeValidator(_ids)]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Claim(_Lenient):
    """One hypothesis as a model writes it."""

    statement: Annotated[str, Field(min_length=1, max_length=1000)]
    cause: str = ""
    service: str = ""
    confidence: Fraction = 0.5
    evidence: Ids = []


class Wish(_Lenient):
    """One suggested change as a model writes it."""

    action: str
    params: dict[str, Scalar] = {}
    why: Annotated[str, Field(max_length=500)] = ""
    evidence: Ids = []


class Submission(_Lenient):
    """The arguments of submit_diagnosis."""

    headline: Annotated[str, Field(min_length=1, max_length=1000)]
    confidence: Fraction
    conclusive: bool = True
    hypotheses: list[Claim]
    suggestions: list[Wish] = []

    def diagnosis(self, usage: Usage) -> Diagnosis:
        """Return the records, unchecked."""
        return Diagnosis(
            headline=self.headline,
            by="model",
            confidence=self.confidence,
            conclusive=self.conclusive,
            hypotheses=tuple(
                Hypothesis(
                    statement=claim.statement,
                    cause=re.sub(r"\W+", "_", claim.cause)[:60],
                    service=claim.service,
                    confidence=claim.confidence,
                    evidence=tuple(claim.evidence),
                )
                for claim in self.hypotheses[:MAX_CLAIMS]
            ),
            suggestions=tuple(
                Suggestion(action=wish.action, params=wish.params, why=wish.why, evidence=tuple(wish.evidence))
                for wish in self.suggestions[:MAX_SUGGESTIONS]
            ),
            usage=usage,
        )


def read(given: Mapping[str, Any]) -> Submission:
    """Read the arguments of submit_diagnosis; ValueError says in one line what is wrong with them."""
    unnested = {key: _unstring(value) for key, value in given.items()}
    try:
        return Submission.model_validate(unnested)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:4])
        raise ValueError("; ".join(wrong)) from error


def read_text(text: str) -> Submission | None:
    """Find a submission written as prose with JSON in it, as small models do."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end <= start:
        return None
    try:
        given = json.loads(text[start : end + 1])
        given = given.get("arguments", given) if isinstance(given, dict) else {}
        return read(given)
    except ValueError:
        return None


def _unstring(value: Any) -> Any:
    """Read a list that a model sent as a string of JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
