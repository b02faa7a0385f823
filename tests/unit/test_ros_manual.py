"""docs/ros.md lists the parameters that the node has, and the shipped Fast DDS profiles are what it says."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from robot_bridge.ros.dds_profile import environment, profile_file
from robot_bridge.ros.parameters import PARAMETERS, table_for_people

MANUAL = Path(__file__).parents[2] / "docs" / "ros.md"
DDS = {"dds": "http://www.eprosima.com"}


def test_manual_has_the_parameters() -> None:
    text = MANUAL.read_text()
    between = text.split("<!-- parameters -->")[1].split("<!-- /parameters -->")[0].strip()
    assert between == table_for_people(), "put robot_bridge.ros.parameters.table_for_people() there"


def test_every_parameter_says_what_it_is_for() -> None:
    names = [parameter.name for parameter in PARAMETERS]
    assert len(names) == len(set(names))
    for parameter in PARAMETERS:
        assert parameter.description.endswith(".")
        assert (parameter.low is None) == (parameter.high is None)
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool):
            assert parameter.low is not None, f"{parameter.name} has no range"
            assert parameter.low <= parameter.default <= parameter.high  # type: ignore[operator]
        if parameter.choices:
            assert parameter.default in parameter.choices


@pytest.mark.parametrize("one_machine", [True, False])
def test_shared_memory_has_room_for_pictures(one_machine: bool) -> None:
    root = ElementTree.parse(profile_file(one_machine=one_machine)).getroot()
    sizes = [int(element.text or 0) for element in root.iterfind(".//dds:segment_size", DDS)]
    assert sizes == [16 << 20]
    largest = [int(element.text or 0) for element in root.iterfind(".//dds:maxMessageSize", DDS)]
    assert largest[0] > 640 * 480 * 3
    allowed = [element.text for element in root.iterfind(".//dds:interfaceWhiteList/dds:address", DDS)]
    assert allowed == (["127.0.0.1"] if one_machine else [])
    assert set(environment(one_machine=one_machine).values()) == {str(profile_file(one_machine=one_machine))}
