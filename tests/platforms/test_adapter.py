"""What the adapters share: secrets, schemes, and events read by a table."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from app.domain.events import Event
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example, Forged, Malformed, Reading
from app.platforms.kit.event_mappings import EventMapping, iso, unix
from app.platforms.kit.options import SecretRef, SourceConfig, matching
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme
from app.platforms.kit.signing import CannotSign
from app.platforms.kit.terms import Terms
from tests.platforms.callbacks import NOW, callback

KIND = EventMapping(
    action="follow",
    actor="who.id",
    target="whom",
    identity=("id", "part"),
    time=unix("at"),
    handle="who.name",
)
TOLD = {"id": "7", "who": {"id": "42", "name": "jo"}, "whom": "1337", "at": 1767225600}
SOURCE = {"name": "here", "platform": "unschooled", "secrets": ["old"]}


class Unschooled(Adapter):
    """A platform whose author has forgotten to say how it signs."""

    name = "unschooled"
    docs = "https://example.com/"

    def read(self, callback: Callback) -> Reading:
        return Reading()


class Lettered(Unschooled):
    name = "lettered"
    schemes = (HmacScheme(proof=Header("X-Signature")),)


def config(**more: Any) -> SourceConfig:
    return SourceConfig.model_validate({**SOURCE, **more})


def read_as(kind: EventMapping, told: object, **more: Any) -> Event | str:
    adapter = Unschooled(config())
    return adapter.read_as(kind, callback(), word="word", root=told, payload=b"{}", **more)


def test_an_adapter_is_found_by_its_platform_and_stands_in_a_module_of_that_name() -> None:
    for platform, adapter in adapters().items():
        assert adapter.name == platform
        assert adapter.__module__ == f"app.platforms.{platform.replace('-', '_')}"


def test_an_adapter_without_a_scheme_believes_nobody_and_signs_nothing() -> None:
    adapter = Unschooled(config())

    with pytest.raises(Forged, match="declares no signature scheme"):
        adapter.verify(callback(b"{}", {"X-Signature": "anything"}))
    with pytest.raises(CannotSign, match="no key of here can sign"):
        adapter.sign(Example(b"{}"), NOW)


def test_a_secret_is_what_its_reference_resolves_to() -> None:
    secrets = {"env:NEW": "new", "env:EMPTY": ""}
    context = {"resolve": lambda reference: secrets[reference]}

    resolved = SourceConfig.model_validate({**SOURCE, "secrets": ["env:NEW"]}, context=context)

    assert resolved.keys_of() == (b"new",)
    with pytest.raises(ValueError, match="the secret is empty"):
        SourceConfig.model_validate({**SOURCE, "secrets": ["env:EMPTY"]}, context=context)


def test_the_first_secret_signs() -> None:
    adapter = Lettered(config(secrets=["new", "old"]))

    headers = adapter.sign(Example(b"{}", {"X-Other": "1"}), NOW).headers

    Lettered(config(secrets=["new"])).verify(callback(b"{}", headers))
    assert headers["x-other"] == "1"


def test_an_event_is_read_by_the_paths_of_its_kind() -> None:
    event = read_as(KIND, TOLD)

    assert event == Event(
        source="here",
        key="word:7:",
        platform="unschooled",
        action="follow",
        actor="42",
        actor_handle="jo",
        target="1337",
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        received_at=NOW,
        payload=b"{}",
    )


def test_an_event_without_a_time_happened_when_it_was_received() -> None:
    for kind in (replace(KIND, time=None), replace(KIND, time=iso("nowhere"))):
        event = read_as(kind, TOLD)

        assert isinstance(event, Event)
        assert event.occurred_at == NOW


def excluded(result: Event | str) -> str | None:
    assert isinstance(result, Event)
    return result.excluded


def test_an_event_without_an_actor_is_excluded() -> None:
    assert excluded(read_as(KIND, {**TOLD, "who": {}})) == "word names no actor"


def test_where_little_else_is_there_an_event_without_an_actor_is_only_a_reason() -> None:
    assert read_as(KIND, {**TOLD, "who": {}, "id": None}) == "word names no actor"


@pytest.mark.parametrize("own", ["42", 42])
def test_what_the_watched_account_does_itself_is_excluded(own: object) -> None:
    assert excluded(read_as(KIND, TOLD, own=own)) == "word is by the account itself"


def test_what_others_do_is_not_excluded() -> None:
    assert excluded(read_as(KIND, TOLD, own="43")) is None


def test_a_removal_of_one_action_may_name_nobody_and_be_by_anybody() -> None:
    removal = replace(KIND, undone=True, undoes="word")

    for root, own in (({**TOLD, "who": {}}, None), (TOLD, "42")):
        event = read_as(removal, root, own=own)

        assert isinstance(event, Event)
        assert (event.actor, event.excluded, event.undoes) == (None, None, event.key)


def test_a_reading_keeps_excluded_events_apart_and_says_why() -> None:
    nameless = read_as(KIND, {**TOLD, "who": {}})

    reading = Reading.of_all([read_as(KIND, TOLD), nameless, "other earns nothing"])

    assert len(reading.events) == 1
    assert reading.excluded == (nameless,)
    assert reading.ignored == ("word names no actor", "other earns nothing")


@pytest.mark.parametrize("missing", ["id", "whom"])
def test_what_an_event_must_have_is_named_when_it_is_missing(missing: str) -> None:
    with pytest.raises(Malformed, match=f"{missing} is missing"):
        read_as(KIND, {**TOLD, missing: None})


class Guarded(Lettered):
    """A platform that writes a secret into its bodies."""

    secret_fields = ("token", "secret")
    kinds = {"told": KIND}  # noqa: RUF012


def test_what_is_a_secret_in_a_body_is_not_kept() -> None:
    adapter = Guarded(config())
    body = b'{"token": "t", "secret": {"a": 1}, "id": "7", "rest": [1]}'

    event = adapter.event(callback(body), key="k", action="follow", actor="42")

    assert event.payload == b'{"id":"7","rest":[1]}'


def test_a_word_that_is_no_kind_earns_nothing() -> None:
    adapter = Guarded(config())

    assert adapter.read_word("other", callback(b"{}"), TOLD) == "other earns nothing"
    assert isinstance(adapter.read_word("told", callback(b"{}"), TOLD), Event)


def test_a_kind_may_have_no_target() -> None:
    event = read_as(replace(KIND, target=None), TOLD)

    assert isinstance(event, Event)
    assert event.target is None


@pytest.mark.parametrize(
    ("actions", "speaks"), [((), True), (("follow",), True), (("like",), False)]
)
def test_terms_are_about_some_actions_or_about_all(actions: tuple[str, ...], speaks: bool) -> None:
    terms = Terms("No rewards", "https://example.com/terms", frozenset(actions))

    assert terms.speak_against("follow") is speaks
    assert str(terms) == "No rewards (https://example.com/terms)"


def test_a_secret_of_a_known_form_is_matched_whole() -> None:
    class Formed(SourceConfig):
        secrets: tuple[Annotated[SecretRef, matching("[ab]+", "only a and b")], ...]

    assert Formed.model_validate({**SOURCE, "secrets": ["ab"]}).keys_of() == (b"ab",)
    for wrong in ("abc", "ab\n", "cab"):
        with pytest.raises(ValueError, match="only a and b"):
            Formed.model_validate({**SOURCE, "secrets": [wrong]})


class IgnoringCase(Unschooled):
    """A platform to which ``Shop`` and ``shop`` are one target."""

    name = "ignoring-case"
    targets_ignore_case = True


@pytest.mark.parametrize(
    ("target", "aliases", "read"),
    [
        ("Shop/Repo", (), ("shop/repo", "Shop/Repo")),
        ("shop/repo", (), ("shop/repo",)),
        ("Shop/Repo", ("OLD", "shop/repo"), ("shop/repo", "old", "Shop/Repo", "OLD")),
        (None, (), (None,)),
    ],
)
def test_a_target_in_any_case_is_one_target_and_is_found_as_it_was_written(
    target: str | None, aliases: tuple[str, ...], read: tuple[str | None, ...]
) -> None:
    source = config(platform="ignoring-case")

    event = IgnoringCase(source).event(
        callback(b"{}"), key="1", action="star", actor="42", target=target, target_aliases=aliases
    )

    assert event.targets == read
