"""The twin's arm as a model file for franka-sim, the simulated control interface (its FR3_MJCF).

franka-sim takes the body of the seventh link for the flange, 0.107 m short of it. In this file that body's
frame is moved along its own joint axis to the flange, which changes no motion, and the hand is left out.
Self-collision is not watched there: that simulator wants geoms called linkN_collision, which these are not.

python -m robot_bridge.twin.franka_sim FILE
"""

import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from robot_bridge.twin.cell import ARM_XML

_SHIFT = 0.107  # [m] from the seventh joint's frame to the flange


def franka_sim_xml() -> str:
    """The arm alone, its seventh body at the flange."""
    root = ET.fromstring(ARM_XML.read_text(encoding="utf-8"))
    link = _find(root, ".//body[@name='fr3_link7']")
    x, y, z = _numbers(link, "pos")
    link.set("pos", _text([x, y - _SHIFT, z]))  # its z points along minus y of the sixth
    for geom in link.findall("geom"):
        ends = _numbers(geom, "fromto")
        geom.set("fromto", _text([*ends[:2], ends[2] - _SHIFT, *ends[3:5], ends[5] - _SHIFT]))
    flange = _find(link, "body[@name='flange']")
    flange.set("pos", "0 0 0")
    flange.remove(_find(flange, "body[@name='hand']"))
    root.remove(_find(root, "equality"))
    motors = _find(root, "actuator")
    for motor in motors.findall("motor"):
        if motor.get("name", "").startswith("finger"):
            motors.remove(motor)
    return ET.tostring(root, encoding="unicode")


def _find(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    assert found is not None, path
    return found


def _numbers(element: ET.Element, key: str) -> list[float]:
    return [float(word) for word in element.get(key, "").split()]


def _text(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.6g}" for number in numbers)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    Path(sys.argv[1]).write_text(franka_sim_xml(), encoding="utf-8")


if __name__ == "__main__":
    main()
