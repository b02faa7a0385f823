class Errors:
    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]: ...

class FrankaRobotState:
    ROBOT_MODE_REFLEX: int
    ROBOT_MODE_USER_STOPPED: int
    robot_mode: int
    last_motion_errors: Errors
