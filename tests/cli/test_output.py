"""JSON of the command line is written as the API's."""

import json
from datetime import datetime, timedelta, timezone

import pytest

from app.cli.output import print_json


def test_times_have_the_spelling_of_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 11, 23, 14, tzinfo=timezone(timedelta(hours=2)))

    print_json({"at": moment})

    assert json.loads(capsys.readouterr().out) == {"at": "2026-11-23T12:00:00.000000Z"}
