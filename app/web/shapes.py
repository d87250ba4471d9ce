"""What may a request of ours contain? JSON in camelCase, checked before anything is done."""

from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from app.platforms.kit.adapter import NAME_PATTERN
from app.web.problems import Problem

MAX_BODY_BYTES = 65_536


class Shape(BaseModel):
    """A request or an answer of our API. Unknown members are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must have printable characters only")
    return value


Printable = Annotated[str, AfterValidator(_printable)]
CustomerId = Annotated[Printable, Field(min_length=1, max_length=100, description="Gameball's.")]
ChallengeId = Annotated[int, Field(ge=1, le=2_147_483_647, description="Gameball's campaign id.")]
AccountId = Annotated[Printable, Field(min_length=1, max_length=255)]
PlatformName = Annotated[str, Field(pattern=NAME_PATTERN)]
ActionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Email = Annotated[Printable, Field(min_length=3, max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")]
Mobile = Annotated[str, Field(pattern=r"^\+?[0-9 ()./-]{4,32}$")]

S = TypeVar("S", bound=Shape)


def body_as(shape: type[S]) -> S:
    """The request's JSON body. Raises a 4xx `Problem` that names every member that is wrong."""
    if request.mimetype != "application/json":
        raise Problem("media-type", "Send Content-Type: application/json.")
    request.max_content_length = MAX_BODY_BYTES
    try:
        return shape.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        raise refusal(error) from None


def query_as(shape: type[S]) -> S:
    """The query string; a name given twice is a mistake, not a choice."""
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise Problem("malformed", f"Given more than once: {', '.join(sorted(twice))[:200]}.")
    try:
        return shape.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise refusal(error, status=400) from None


def refusal(error: ValidationError, status: int | None = None) -> Problem:
    """What was wrong, member by member; never the values, which may be secrets."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    if any(detail["type"] == "json_invalid" for detail in details):
        return Problem("malformed", "The body is not JSON.")
    errors: list[dict[str, Any]] = [
        {
            "field": ".".join(str(step) for step in detail["loc"])[:100],
            "problem": detail["msg"].removeprefix("Value error, "),
        }
        for detail in details[:20]
    ]
    return Problem("invalid", "See errors.", status=status, errors=errors)
