"""How is gunicorn told to run, and what if the operator's file says it wrongly?"""

import socket
from pathlib import Path

import click
import pytest

from app.cli.address import require_free_path, web_address
from app.cli.commands.serve import gunicorn_settings, shipped_file
from app.settings.environment import Environment
from tests.cli.conftest import Vouch


def settings_with(text: str) -> dict[str, object]:
    file = Path("config/gunicorn.conf.py")
    file.parent.mkdir()
    file.write_text(text, "utf-8")
    return gunicorn_settings(Environment(), None)


def test_what_an_operators_file_leaves_out_is_as_we_ship_it() -> None:
    shipped = gunicorn_settings(Environment(), None)

    settings = settings_with("threads = 7\n")

    assert settings == {**shipped, "threads": 7}
    assert settings["worker_class"] == "app.server.callback_worker.CallbackWorker"


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


def test_no_proxy_is_asked_for_the_scheme() -> None:
    assert settings_with("threads = 7\n")["secure_scheme_headers"] == {}


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        (":8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("::1:8000", "[::1]:8000"),
        ("localhost:0", "localhost:0"),
        ("unix:/run/vouch.sock", "unix:/run/vouch.sock"),
    ],
)
def test_an_address_means_to_gunicorn_what_it_means_to_us(bind: str, address: str) -> None:
    assert web_address(bind) == address
    assert gunicorn_settings(Environment(), [address])["bind"] == [address]


@pytest.mark.parametrize("bind", ["8000", "host:", "host:65536", "tcp://host:80000", ""])
def test_an_address_that_is_none_is_refused(bind: str) -> None:
    with pytest.raises(click.BadParameter, match="write HOST:PORT"):
        web_address(bind)


def test_a_path_is_free_or_was_left_by_a_service_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "vouch.sock"
    require_free_path(f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    require_free_path(f"unix:{path}")
    require_free_path(f"unix://{path}")


def test_a_path_that_cannot_be_had_is_told_in_a_line(tmp_path: Path) -> None:
    taken, file = tmp_path / "taken.sock", tmp_path / "file"
    file.touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(taken))
        listener.listen()
        for path, told in (
            (taken, "another process listens there"),
            (file, "something else than a socket is there"),
            (tmp_path / "nowhere" / "a.sock", "there is no folder"),
            (tmp_path / ("a" * 108), "more than 107 bytes"),
        ):
            with pytest.raises(click.ClickException, match=told):
                require_free_path(f"unix:{path}")


def test_a_port_that_is_taken_is_told_in_a_line(run: Vouch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"

        result = run("serve", "--bind", address)

    assert result.exit_code == 1
    assert result.stderr == f"Error: cannot listen at {address}: Address already in use\n"
