"""What does a service with a source of every platform look like, and what is sent to it?"""

from typing import Any

from sqlalchemy import func, select

from app.cli.demo.configuration import toml_value
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Example
from app.platforms.kit.examples import example_source, templates
from app.service import Service
from app.storage.tables import AttemptRow, AwardRow, EventRow, TransitionRow
from tests.cli.conftest import is_secret
from tests.conftest import MakeService

SOURCES = {name: example_source(name)["name"] for name in sorted(adapters())}


def with_every_platform(make_service: MakeService) -> Service:
    sources = [example_source(name) for name in sorted(adapters())]
    of_actions = sorted(name for name, kind in adapters().items() if not kind.reports_rewards)
    rules = "".join(rule(name, "follow") for name in of_actions)
    held = {name: one for source in sources for name, one in variables(source).items()}
    return make_service("".join(map(table, sources)) + rules, **held)


def table(values: dict[str, Any]) -> str:
    """A [[sources]] table, its secrets by reference, and the variables that hold them."""
    lines = []
    for key, value in values.items():
        held = value if isinstance(value, list) else [value]
        refers = is_secret(values["platform"], key)
        told = [f"env:{variable(values, key, i)}" if refers else v for i, v in enumerate(held)]
        lines.append(f"{key} = {toml_value(told if isinstance(value, list) else told[0])}")
    return "[[sources]]\n" + "\n".join(lines) + "\n"


def variable(values: dict[str, Any], key: str, position: int) -> str:
    return f"T_{values['name']}_{key}_{position}".replace("-", "_").upper()


def variables(values: dict[str, Any]) -> dict[str, str]:
    return {
        variable(values, key, i): str(one)
        for key, value in values.items()
        for i, one in enumerate(value if isinstance(value, list) else [value])
    }


def rule(platform: str, action: str) -> str:
    return f'\n[[rules]]\nchallenge_id = 7\nplatform = "{platform}"\naction = "{action}"\n'


def kept(service: Service) -> list[int]:
    with service.database.read() as connection:
        return [
            connection.execute(select(func.count()).select_from(row)).scalar_one()
            for row in (EventRow, AttemptRow, AwardRow, TransitionRow)
        ]


def adapter_in(service: Service, platform: str) -> Adapter:
    return service.configuration.sources[SOURCES[platform]]


def signed(
    service: Service, platform: str, name: str, key: str = "k-1", actor: str = "42"
) -> Example:
    now = service.now()
    example = templates(platform)[name].fill(actor=actor, target="1337", key=key, now=now)
    return adapter_in(service, platform).sign(example, now)
