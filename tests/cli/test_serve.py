"""How is gunicorn told to run, and what if the operator's file says it wrongly?"""

from pathlib import Path

import click
import pytest

from app.cli.serve import gunicorn_settings, shipped_file
from app.settings.environment import Environment


def settings_with(text: str) -> dict[str, object]:
    file = Path("config/gunicorn.conf.py")
    file.parent.mkdir()
    file.write_text(text, "utf-8")
    return gunicorn_settings(Environment(), None)


def test_what_an_operators_file_leaves_out_is_as_we_ship_it() -> None:
    shipped = gunicorn_settings(Environment(), None)

    settings = settings_with("threads = 7\n")

    assert settings == {**shipped, "threads": 7}
    assert settings["worker_class"] == "app.web.callback_worker.CallbackWorker"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = (", "config/gunicorn.conf.py cannot be run: SyntaxError"),
        ("import nowhere", "config/gunicorn.conf.py cannot be run: ModuleNotFoundError"),
        ('workers = "two"', "config/gunicorn.conf.py: workers must be a number"),
    ],
)
def test_an_operators_file_with_a_mistake_is_told_in_a_line(text: str, told: str) -> None:
    with pytest.raises(click.ClickException, match=told):
        settings_with(text)


def test_where_no_folder_in_memory_is_ours_another_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shipped_file().is_file()
    monkeypatch.setattr("os.access", lambda *_: False)

    assert gunicorn_settings(Environment(), None)["worker_tmp_dir"] is None
