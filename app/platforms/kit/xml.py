"""Parse an untrusted XML body into nested objects for `dig`."""

from collections.abc import Mapping
from typing import Any, NoReturn
from xml.parsers import expat

from app.platforms.kit.callback import Malformed

_DEEPEST = 32
_MOST_ELEMENTS = 10_000
# XML's white space. A name may begin or end with other spaces.
_WHITE_SPACE = " \t\r\n"


def xml_object(body: bytes) -> dict[str, Any]:
    """Parse XML into objects, by local names: ``{"feed": {"entry": {"id": "1"}}}``.

    Attributes become ``@name``, the text of an element that has attributes or children ``#text``,
    and repeated elements a list. Raises `Malformed`, also for any document type or entity: attacks
    that expand text or read files need them, and no platform sends them.
    """
    tree = _Tree()
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(body.decode("utf-8"), True)
    except (expat.ExpatError, ValueError) as error:
        raise Malformed(f"the body is not XML: {type(error).__name__}") from None
    return tree.root


class _Tree:
    """The objects of the open elements, the outermost first."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[dict[str, Any]] = [self.root]
        self._texts: list[list[str]] = [[]]
        self._left = _MOST_ELEMENTS

    def start(self, _: str, attributes: Mapping[str, str]) -> None:
        self._left -= 1
        if self._left < 0 or len(self._open) > _DEEPEST:
            raise Malformed("the body has too many elements, or too deep ones")
        self._open.append({f"@{_local(key)}": value for key, value in attributes.items()})
        self._texts.append([])

    def text(self, data: str) -> None:
        self._texts[-1].append(data)

    def end(self, name: str) -> None:
        element, text = self._open.pop(), "".join(self._texts.pop()).strip(_WHITE_SPACE)
        if element and text:
            element["#text"] = text
        value, parent, local = element or text, self._open[-1], _local(name)
        if local not in parent:
            parent[local] = value
        elif isinstance(parent[local], list):
            parent[local].append(value)
        else:
            parent[local] = [parent[local], value]


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _refuse(*_: object) -> NoReturn:
    raise Malformed("the body declares a document type or an entity")
