"""Types for the fields of requests and responses: JSON in camelCase, validated."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from app.domain.texts import NAME_PATTERN, is_blank, is_written

MAX_STATEMENT_BYTES = 4_000
_WHOLE = re.compile(r"-?[0-9]{1,19}")


class Schema(BaseModel):
    """A request or response of our API. Unknown members are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


def _one_line(value: str) -> str:
    """Apply the rule of `app.domain.texts` for everything that people write."""
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
    """Accept digits only: pydantic would also read 1_0, 7.0 and other scripts' digits."""
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError("must be a whole number")
    return value


def example(**members: Any) -> ConfigDict:
    """The `model_config` of a body that shows in the document what one may look like."""
    return ConfigDict(json_schema_extra={"examples": [members]})


@dataclass(frozen=True, slots=True, eq=False)
class Documented:
    """Keywords of JSON Schema for what a function checks, which pydantic cannot read from it.

    They may allow more than the function does, never less.
    """

    keywords: Mapping[str, Any]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core_schema), **self.keywords}


# At least one character that can be seen, and no control character.
_ONE_LINE = Documented(
    {"pattern": r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"}
)
Line = Annotated[str, AfterValidator(_one_line), _ONE_LINE]
# An id of ours.
Id = Annotated[str, Documented({"format": "uuid"})]
# Ids are not what people write: two that look the same would be two customers.
CustomerId = Annotated[
    str,
    AfterValidator(_printable),
    _ONE_LINE,
    Field(min_length=1, max_length=100, description="Its id in Gameball."),
]
Whole = Annotated[int, BeforeValidator(_written_whole)]
# Bounds come before our own validators: after them, pydantic omits them from the document.
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


class Statement(Schema):
    """A customer's statement about an action. Free JSON; three members help to find the rule."""

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
        """The whole statement, as received."""
        return self.model_dump(by_alias=True, exclude_unset=True)
