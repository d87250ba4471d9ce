"""How do callbacks get round what Flask prepares for every request?

Its contexts, routing and signals are a quarter of what a callback costs (bench/intake), and a
callback uses none of them. Whatever is no event posted to a source of ours goes to Flask, and so
does whatever goes wrong, so that there is one answer to each.
"""

from collections.abc import Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask
from werkzeug.wrappers import Request, Response

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Reply
from app.service import Service
from app.web import webhooks

PREFIX = "/webhooks/"


class CallbackLane:
    """Stands before a Flask application's own WSGI callable."""

    def __init__(self, app: Flask, service: Service) -> None:
        self._app = app
        self._flask = app.wsgi_app
        self._service = service

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        adapter = self._adapter(environ)
        if adapter is None:
            return self._flask(environ, start_response)
        try:
            reply = webhooks.answer(self._service, adapter, Request(environ))
        except Exception as error:
            return self._refusal(error, environ)(environ, start_response)
        return _written(reply, start_response)

    def _adapter(self, environ: WSGIEnvironment) -> Adapter | None:
        path: str = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] != "POST" or not path.startswith(PREFIX):
            return None
        return self._service.configuration.sources.get(path.removeprefix(PREFIX))

    def _refusal(self, error: Exception, environ: WSGIEnvironment) -> Response:
        with self._app.request_context(environ):
            return self._app.make_response(self._app.handle_user_exception(error))


def _written(reply: Reply, start_response: StartResponse) -> Iterable[bytes]:
    body = reply.body.encode()
    headers = webhooks.header_list(reply)
    if reply.status != HTTPStatus.NO_CONTENT:
        headers.append(("Content-Length", str(len(body))))
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", headers)
    return [body]
