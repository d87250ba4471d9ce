"""What may a request or an answer of ours contain? JSON in camelCase, checked before use."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import unquote, unquote_to_bytes

from flask import Response, request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from app.domain.texts import is_blank, is_written
from app.platforms.kit.options import NAME_PATTERN
from app.web.context import whole_body
from app.web.problems import Problem

MAX_BODY_BYTES = 65_536
MAX_STATEMENT_BYTES = 4_000
_WHOLE = re.compile(r"-?[0-9]{1,19}")


class Shape(BaseModel):
    """A request or an answer of our API. Unknown members are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


def _one_line(value: str) -> str:
    """The rule for everything that people write: `app.domain.texts` has it."""
    if not is_written(value):
        raise ValueError("must be one line of text, without control characters")
    if is_blank(value):
        raise ValueError("must not be blank")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must have printable characters only")
    if value.isspace():
        raise ValueError("must not be blank")
    return value


def _written_whole(value: object) -> object:
    """A number as people write one: pydantic would also read 1_0, 7.0 and other scripts' digits."""
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError("must be a whole number")
    return value


Line = Annotated[str, AfterValidator(_one_line)]
# Ids are not what people write: two that look the same would be two customers.
CustomerId = Annotated[
    str,
    AfterValidator(_printable),
    Field(min_length=1, max_length=100, description="Its id in Gameball."),
]
Whole = Annotated[int, BeforeValidator(_written_whole)]
# Bounds stand before a validator of ours: after it, pydantic leaves them out of the document.
ChallengeId = Annotated[
    int,
    Field(ge=1, le=2_147_483_647, description="Gameball's campaign id."),
    BeforeValidator(_written_whole),
]
AccountId = Annotated[Line, Field(min_length=1, max_length=255)]
PlatformName = Annotated[str, Field(pattern=NAME_PATTERN)]
ActionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Target = Annotated[Line, Field(min_length=1, max_length=255)]
Handle = Annotated[Line, Field(min_length=1, max_length=255)]
Email = Annotated[
    str,
    Field(min_length=3, max_length=255, pattern=r"^[^@\s]+@[^@\s]+$"),
    AfterValidator(_one_line),
]
Mobile = Annotated[str, Field(pattern=r"^\+?[0-9 ()./-]{4,32}$")]

S = TypeVar("S", bound=Shape)


class Statement(Shape):
    """What a customer says of an action. Free JSON; three members of it help to find the rule."""

    model_config = ConfigDict(extra="allow")

    platform: PlatformName | None = None
    action: ActionName | None = None
    target: Target | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        try:
            text = json.dumps(self.said, ensure_ascii=False, allow_nan=False)
        except ValueError:
            raise ValueError("must have numbers of ordinary size only") from None
        if len(text.encode()) > MAX_STATEMENT_BYTES:
            raise ValueError(f"must be at most {MAX_STATEMENT_BYTES} bytes of JSON")
        return self

    @property
    def said(self) -> dict[str, Any]:
        """All of it, as it came."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def body_as(shape: type[S], most: int = MAX_BODY_BYTES) -> S:
    """The request's JSON body. Raises a 4xx `Problem` that names every member that is wrong."""
    if request.mimetype != "application/json":
        raise Problem("media-type", "Send Content-Type: application/json.")
    body = whole_body(request, most)
    try:
        # Strict: of "7", 7.0 and true, none is the number that is meant.
        said = shape.model_validate_json(body, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise refusal(error) from None
    _refuse_twice(_names_twice(body))
    return said


def id_in_path(value: str) -> str:
    """An id as the path names it. Raises a `Problem` where two ids would become one."""
    # Werkzeug writes U+FFFD for bytes that are not UTF-8.
    if "\ufffd" in value:
        raise Problem("malformed", "The path is not UTF-8.")
    # Only here can a slash of the id be told from one that somebody wrote too many.
    raw = request.environ.get("RAW_URI", "").partition("?")[0].rpartition("/")[2]
    if unquote(raw) != value:
        raise Problem("unknown", "There is nothing here. A slash in an id is written %2F.")
    return value


def query_as(shape: type[S]) -> S:
    """The query string; a name given twice is a mistake, not a choice."""
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        raise Problem("malformed", "The query is not UTF-8.") from None
    _refuse_twice([name for name, values in request.args.lists() if len(values) > 1])
    try:
        return shape.model_validate(request.args.to_dict(), by_alias=True, by_name=False)
    except ValidationError as error:
        raise refusal(error, status=400) from None


def _names_twice(body: bytes) -> list[str]:
    """Members that an object of the body has twice; pydantic would silently take the last."""
    twice: list[str] = []

    def note(members: list[tuple[str, Any]]) -> None:
        counts = Counter(name for name, _ in members)
        twice.extend(name for name, count in counts.items() if count > 1)

    json.loads(body, object_pairs_hook=note, parse_int=str)
    return twice


def _refuse_twice(names: list[str]) -> None:
    if names:
        told = ", ".join(sorted(name for name in names if is_written(name)))
        raise Problem("malformed", f"Given more than once: {told[:200]}.")


def answered(shape: Shape, status: int = 200) -> Response:
    """An answer of our API. It may name people, so nobody on the way may keep it."""
    headers = {"Cache-Control": "no-store"}
    return Response(as_json(shape), status, headers, content_type="application/json")


def as_json(shape: Shape) -> str:
    """A shape as our API writes it: camelCase, absent members as null, times in UTC."""
    return json.dumps(shape.model_dump(by_alias=True), default=_written, separators=(",", ":"))


def _written(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"an answer of ours cannot contain a {type(value).__name__}")
    moment = value.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


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
