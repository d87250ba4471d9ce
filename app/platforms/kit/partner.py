"""Options for partners whose signature and JSON fields are configured."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field as Option
from pydantic import StringConstraints, model_validator

from app.platforms.kit.encodings import unb64, unhex
from app.platforms.kit.event_mappings import Words
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.places import Body, Header, Item, Part, Place, SignedTime, TimeForm
from app.platforms.kit.schemes import Digest, Encoding, HmacScheme
from app.platforms.kit.templates import parts_of, place_of

Path = Annotated[str, StringConstraints(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
OptionalPath = Annotated[str, StringConstraints(pattern=r"^([^.\s]+(\.[^.\s]+)*)?$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")]
DECODED: Mapping[str, Callable[[str], bytes | None]] = {
    "text": str.encode,
    "hex": unhex,
    "base64": unb64,
}


class PartnerSource(SourceConfig):
    """Paths are as in `dig`."""

    secrets_are: Literal["text", "hex", "base64"] = Option(
        default="text", description="How the key's bytes are written."
    )
    header: HeaderName = Option(description="The header of the signature.")
    item: str = Option(default="", description="Its name, where the header is like t=1,v1=abc.")
    prefix: str = Option(default="", description="The text before it.")
    encoding: Encoding = "hex"
    algorithm: Digest = "sha256"
    signed: str = Option(
        default="{body}", description="What is signed: text, {body}, {timestamp}, {header:NAME}."
    )
    timestamp: str = Option(
        default="", description="The place of the signed time: header:NAME, item:NAME, query:NAME."
    )
    timestamp_format: TimeForm = "unix"
    event_id: str = Option(
        default="",
        description="Path to the event's id, or a signed header:NAME. Default: a hash of the body.",
    )
    action: Path = Option(description="Path to the partner's word for what happened.")
    actor: Path = Option(description="Path to the id of the account that did it.")
    handle: OptionalPath = Option(default="", description="Path to its name, for people.")
    target: OptionalPath = Option(default="", description="Path to what it was done to.")
    time: OptionalPath = Option(default="", description="Path to when it happened.")
    time_format: TimeForm = "iso"
    actions: Words = Option(description="The partner's words, and ours for them.")
    undone: Words = Option(default={}, description="The same, for actions taken back.")

    @property
    def timestamp_place(self) -> Place | None:
        return place_of(self.timestamp, self.header)

    @property
    def event_id_place(self) -> Place | None:
        """The header or query parameter of the event's id, or None when it is in the body."""
        return place_of(self.event_id, self.header)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The signed parts. Raises `ValueError`."""
        named: dict[str, Part] = {"body": Body()}
        if self.timestamp_place is not None:
            named["timestamp"] = self.timestamp_place
        return parts_of(self.signed, self.header, named)

    @property
    def _id_may_be_shifted(self) -> bool:
        """Whether one proof could fit two ids, by moving characters to the part beside the id.

        That is impossible beside the time: one digit more shifts it by decades, and it must be
        whole.
        """
        at, timed = self.event_id_place, self.timestamp_place
        return any(
            at in pair and not any(isinstance(part, bytes | Body) or part == timed for part in pair)
            for pair in pairwise(self.parts)
        )

    @property
    def scheme(self) -> HmacScheme:
        timed = self.timestamp_place
        return HmacScheme(
            proof=Item(self.header, self.item) if self.item else Header(self.header),
            signed=self.parts,
            prefix=self.prefix,
            time=SignedTime(timed, self.timestamp_format) if timed else None,
            digest=self.algorithm,
            encoding=self.encoding,
        )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        parts, timed, where = self.parts, self.timestamp_place, self.event_id_place
        for is_wrong, why in (
            (Body() not in parts, "signed has no {body}: anyone who saw one could forge others"),
            (self.timestamp and timed is None, "timestamp is not a header:, item: or query:NAME"),
            (timed and timed not in parts, "signed has no {timestamp}: it would prove nothing"),
            (where and where not in parts, "event_id is in a place that is not signed"),
            (self._id_may_be_shifted, "signed has event_id beside another part: put text between"),
            (not all(self.keys_of()), "a secret does not have the form that secrets_are names"),
            (not self.actions and not self.undone, "actions is empty"),
            (set(self.actions) & set(self.undone), "a word is both in actions and in undone"),
        ):
            if is_wrong:
                raise ValueError(why)
        return self

    def keys_of(self, option: str = "secrets") -> tuple[bytes, ...]:
        decode = DECODED[self.secrets_are]
        return tuple(decode(key.decode()) or b"" for key in super().keys_of(option))
