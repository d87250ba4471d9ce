"""Can a developer read the page, and can nobody misuse it?"""

import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from flask import Flask

from app.server.wire import MOST_UNSENT
from app.service import Service
from app.web import create_app
from app.web.api import docs, openapi
from app.web.problems import PROBLEM_TYPES
from tests.web.history.conftest import Caller, MakeService

VOID = {"meta", "link", "circle", "path", "wbr"}


class Reader(HTMLParser):
    """Notes ids, links and sources, and that every element is closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.styled: list[str] = []
        self.names: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.links.add(value or "")
            if name == "style" or name.startswith("on"):
                self.styled.append(f"{tag} {name}")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def app(make_service: MakeService, sqlite_url: str) -> Flask:
    return create_app(make_service(sqlite_url))


@pytest.fixture
def html(app: Flask) -> str:
    answer = app.test_client().get("/docs")
    assert answer.content_type == "text/html; charset=utf-8"
    return answer.text


@pytest.fixture
def page(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_the_page_is_well_formed(page: Reader) -> None:
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_every_operation_and_every_shape_is_on_the_page(
    app: Flask, html: str, page: Reader
) -> None:
    document = openapi.document(app)
    for path, methods in document["paths"].items():
        assert path in re.sub(r"<wbr>", "", html)
        for operation in methods.values():
            assert f"op-{operation['operationId']}" in page.ids
            assert all(f"<code>{p['name']}</code>" in html for p in operation["parameters"])
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(page.ids)


def test_every_problem_has_an_anchor_that_its_type_leads_to(page: Reader) -> None:
    assert set(PROBLEM_TYPES) <= set(page.ids)


@pytest.mark.parametrize("kind", PROBLEM_TYPES)
def test_every_problem_says_what_to_do(kind: str) -> None:
    assert PROBLEM_TYPES[kind].advice.endswith(".")


def test_links_lead_to_ourselves_and_somewhere(app: Flask, page: Reader) -> None:
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    pages = {link for link in page.links if not link.startswith("#")}

    assert anchors <= set(page.ids)
    assert pages == {"/docs/style.css", "/openapi.json"}
    assert all(app.test_client().get(link).status_code == 200 for link in pages)


def test_the_page_needs_nothing_that_its_policy_forbids(app: Flask, page: Reader) -> None:
    policy = app.test_client().get("/docs").headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert page.names.isdisjoint({"script", "style", "img", "iframe", "form", "object"})
    assert page.styled == []


def test_the_style_is_ours_and_fetches_nothing(app: Flask) -> None:
    answer = app.test_client().get("/docs/style.css")

    assert answer.content_type == "text/css; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert "prefers-color-scheme: dark" in answer.text


def test_what_the_page_is_made_of_is_inside_the_package() -> None:
    web = resources.files("app.web")

    assert (web / "api" / "templates" / "docs.html").is_file()
    assert (web / "api" / "static" / "docs.css").is_file()


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_what_anybody_may_ask_for_is_written_once(service: Service, path: str) -> None:
    """The page takes a hundred times as long as a callback."""
    anyone = Caller(create_app(service).test_client())
    first = anyone.get(path)

    written = [made.cache_info().misses for made in (docs._text_of, docs._html_of)]
    later = [anyone.get(path).data for _ in range(10)]

    assert later == [first.data] * 10
    assert len(first.data) < MOST_UNSENT * 0.9
    assert [made.cache_info().misses for made in (docs._text_of, docs._html_of)] == written
