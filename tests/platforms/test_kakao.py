"""KakaoTalk: https://developers.kakao.com/docs/latest/en/kakaotalk-channel/callback"""

import pytest

from app.platforms.kit.callback import Forged, Reading
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading

AT = "2026-11-23T12:00:00Z"


def told(event: str, **more: object) -> Reading:
    body = {"event": event, "id": "1234567890", "id_type": "app_user_id", "updated_at": AT}
    return reading(adapter_of("kakao"), {**body, "channel_public_id": "_ZeUTxl", **more})


def test_who_adds_the_channel_follows_it() -> None:
    event = only_event(told("added"))

    assert (event.action, event.actor, event.target) == ("follow", "1234567890", "_ZeUTxl")
    assert (event.occurred_at, event.undone) == (NOW, False)


def test_who_blocks_it_unfollows() -> None:
    event = only_event(told("blocked"))

    assert (event.action, event.actor, event.undone) == ("follow", "1234567890", True)


def test_who_did_not_consent_is_another_account_than_the_one_of_the_same_number() -> None:
    known, unknown = only_event(told("added")), only_event(told("added", id_type="open_id"))

    assert unknown.actor == "open_id:1234567890"
    assert known.key != unknown.key


def test_who_adds_it_again_has_done_it_again() -> None:
    first, later = told("added"), told("added", updated_at="2026-11-24T12:00:00Z")

    assert only_event(first).key != only_event(later).key


def test_without_an_account_nothing_is_earned() -> None:
    assert told("added", id=None).ignored == ("added names no actor",)


@pytest.mark.parametrize(
    "header", ["example-admin-key-new", "KakaoAK", "KakaoAK ", "kakaoak example-admin-key-new"]
)
def test_the_admin_key_is_believed_behind_its_word_only(header: str) -> None:
    with pytest.raises(Forged):
        adapter_of("kakao").verify(callback(b"{}", {"Authorization": header}))


def test_a_refusal_does_not_repeat_what_was_sent_as_a_key() -> None:
    with pytest.raises(Forged) as refusal:
        adapter_of("kakao").verify(callback(b"{}", {"Authorization": "KakaoAK guessed"}))

    assert "guessed" not in refusal.value.reason
