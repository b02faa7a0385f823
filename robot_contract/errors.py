"""The errors a user of Touchdown can meet, all in one place.

    ValueError
      ContractError      a policy contract or checkpoint folder is wrong, or does not match the robot
      WireError          a message on the wire is malformed
      RigError           a rig file is wrong
      CalibrationError   a calibration artefact is wrong, or the data does not support one
      StudyError         a study file or a trial is wrong
      RecordingError     a recording cannot be read, or does not hold what was asked for
      SceneError         an object catalogue or a scene is wrong
    RuntimeError
      DeviceFault        an arm, gripper or camera reported a fault
      PolicyUnavailable  no answer from the policy server, or a refusal
      BridgeUnavailable  no answer from the robot bridge, or a refusal
      SimulationUnavailable  no simulator could be opened in a worker process

Every message says what was expected, what came, and what would be accepted.
"""

import difflib
from collections.abc import Iterable


class ContractError(ValueError):
    pass


class WireError(ValueError):
    pass


class RigError(ValueError):
    pass


class CalibrationError(ValueError):
    pass


class StudyError(ValueError):
    pass


class RecordingError(ValueError):
    pass


class SceneError(ValueError):
    pass


class DeviceFault(RuntimeError):
    pass


class PolicyUnavailable(RuntimeError):
    pass


class BridgeUnavailable(RuntimeError):
    pass


class SimulationUnavailable(RuntimeError):
    pass


def nearest_name(wrong: str, valid: Iterable[str]) -> str:
    """Return a hint for a mistyped name: the nearest valid one, else all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(wrong, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid are {', '.join(names) or 'none'}"
