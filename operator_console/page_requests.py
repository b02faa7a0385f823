"""What a page may ask by plain requests, checked field by field."""

from pydantic import BaseModel, ConfigDict, Field

from robot_contract.messages import OperatorAction, SceneSetup, TrialSetup


class SceneRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    split: str = Field(min_length=1, max_length=200)
    seed: int = Field(ge=0, lt=2**63)


class TrialRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trial_id: str = Field(min_length=1, max_length=100)
    policy: str = Field(min_length=1, max_length=200)
    instruction: str = Field(max_length=1000)
    start_pose: str = Field(min_length=1, max_length=200)
    time_limit: float = Field(gt=0, le=3600, allow_inf_nan=False)  # [s]
    record: bool
    scene: SceneRequest | None

    def as_setup(self) -> TrialSetup:
        scene = None if self.scene is None else SceneSetup(split=self.scene.split, seed=self.scene.seed)
        return TrialSetup(
            trial_id=self.trial_id,
            policy=self.policy,
            instruction=self.instruction,
            start_pose=self.start_pose,
            time_limit=self.time_limit,
            record=self.record,
            scene=scene,
        )


class EventRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: OperatorAction
    operator: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=1000)


class StopRequest(BaseModel):
    operator: str = Field(default="", max_length=200)
