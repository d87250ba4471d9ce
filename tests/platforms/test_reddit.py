"""Reddit: what the app of docs/reddit.md sends."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.platforms.kit.callback import Reading
from tests.platforms.callbacks import adapter_of, callback, only_event, reading

PAGE = (Path(__file__).parents[2] / "docs" / "reddit.md").read_text("utf-8")
AUTHOR = {"id": "t2_ann", "name": "ann"}
AT, LATER = "2026-11-23T12:00:00.000Z", "2026-11-23T12:00:01.000Z"


def told(sort: str, **more: Any) -> Reading:
    body = {"type": sort, "id": "t1_c", "author": AUTHOR, "subreddit": "brand", "at": AT}
    return reading(adapter_of("reddit"), {**body, "on": "t3_p", **more})


def test_a_comment_is_on_its_post() -> None:
    event = only_event(told("CommentCreate"))

    assert (event.action, event.actor, event.target) == ("comment", "t2_ann", "t3_p")
    assert event.actor_handle == "ann"


def test_a_post_is_in_its_subreddit() -> None:
    event = only_event(told("PostCreate", id="t3_p"))

    assert (event.action, event.target) == ("post", "brand")


@pytest.mark.parametrize("thing", ["Post", "Comment"])
def test_a_deletion_undoes_that_very_one(thing: str) -> None:
    done, undone = only_event(told(f"{thing}Create")), only_event(told(f"{thing}Delete"))

    assert (undone.undone, undone.undoes) == (True, done.key)


def test_a_deletion_whose_author_is_hidden_names_the_comment() -> None:
    [done], [undone] = told("CommentCreate").events, told("CommentDelete", author=None).events

    assert (undone.actor, undone.undoes) == (None, done.key)


@pytest.mark.parametrize("thing", ["Post", "Comment"])
def test_an_approval_tells_the_same_thing_at_a_later_time(thing: str) -> None:
    done, approved = (
        only_event(told(f"{thing}Create")),
        only_event(told(f"{thing}Approve", at=LATER)),
    )

    assert (approved.key, approved.undone) == (done.key, False)
    assert approved.occurred_at > done.occurred_at


@pytest.mark.parametrize(("thing", "prefix"), [("Post", "t3_"), ("Comment", "t1_")])
def test_an_id_is_the_same_with_and_without_its_prefix(thing: str, prefix: str) -> None:
    author = {"id": "ann", "name": "ann"}

    full = only_event(told(f"{thing}Create", id=f"{prefix}c"))
    bare = only_event(told(f"{thing}Create", id="c", author=author, on="p"))

    assert bare.key == full.key
    assert (full.actor, full.aliases) == ("t2_ann", ("ann",))
    assert (bare.actor, bare.aliases) == ("ann", ("t2_ann",))


def test_a_rule_may_name_the_post_without_its_prefix_and_a_subreddit_in_lower_case() -> None:
    comment, post = (
        only_event(told("CommentCreate")),
        only_event(told("PostCreate", subreddit="Brand")),
    )

    assert (comment.target, comment.target_aliases) == ("t3_p", ("p",))
    assert (post.target, post.target_aliases) == ("Brand", ("brand",))


def test_a_removal_needs_no_more_than_the_id() -> None:
    body = {"type": "CommentDelete", "id": "t1_c", "at": AT}

    undone = only_event(reading(adapter_of("reddit"), body))

    assert (undone.actor, undone.target, undone.undoes) == (None, None, "CommentCreate:t1_c")


@pytest.mark.parametrize("sort", ["CommentUpdate", "PostReport", "ModAction"])
def test_anything_else_earns_nothing(sort: str) -> None:
    assert told(sort).ignored == (f"{sort} earns nothing",)


def example() -> tuple[str, str, str]:
    """The secret, the header and the body that the page shows."""
    secret = re.search(r"secret: +`([^`]+)`", PAGE)
    header = re.search(r"X-Vouch-Signature: (\S+)", PAGE)
    body = re.search(r"^(\{\"type\".*\})$", PAGE, re.M)
    assert secret and header and body  # noqa: PT018 -- all three are of one example
    return secret[1], header[1], body[1]


def test_the_page_shows_a_callback_that_is_believed() -> None:
    secret, header, body = example()
    signed_at = int(header.partition(",")[0].removeprefix("t="))
    at = callback().received_at.fromtimestamp(signed_at, tz=callback().received_at.tzinfo)
    adapter = adapter_of("reddit", secrets=[secret])
    sent = callback(body.encode(), {"X-Vouch-Signature": header}, at=at)

    adapter.verify(sent)

    assert only_event(adapter.read(sent)).actor == json.loads(body)["author"]["id"]


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the page's JavaScript")
def test_the_code_on_the_page_signs_as_the_page_shows() -> None:
    secret, header, body = example()
    code = re.search(r"```js\n(.*?)```", PAGE, re.S)
    assert code
    arguments = json.dumps([secret, body, int(header.partition(",")[0].removeprefix("t="))])
    program = f"{code[1].replace('export ', '')}\nconsole.log(signature(...{arguments}))"

    done = subprocess.run(
        ["node", "--input-type=module"],
        input=program,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.strip() == header
