"""The enums that are written out are the tables' own, to the last member."""

from enum import IntEnum, IntFlag

import pytest

from syncline.protocol import enums, schema

LEFT_TO_THE_SCHEMA = {("wl_shm", "format")}

WRITTEN = {
    name: each
    for name, each in vars(enums).items()
    if isinstance(each, type) and each.__module__ == enums.__name__
}


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


INTERFACE_OF = {camel(name): name for name in schema.interfaces()}


@pytest.mark.parametrize("class_name", WRITTEN)
def test_the_enums_of_an_interface_are_those_of_its_table(class_name: str) -> None:
    interface = schema.interface(INTERFACE_OF[class_name])
    written = {name: each for name, each in vars(WRITTEN[class_name]).items() if isinstance(each, type)}

    expected = {
        camel(name): (IntFlag if issubclass(each, IntFlag) else IntEnum, members(each))
        for name, each in interface.enums.items()
        if (interface.name, name) not in LEFT_TO_THE_SCHEMA
    }
    assert {name: (each.__base__, members(each)) for name, each in written.items()} == expected


def members(enum: type[IntEnum | IntFlag]) -> dict[str, int]:
    return {name.upper(): int(value) for name, value in enum.__members__.items()}
