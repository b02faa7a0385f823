"""The wire: everything survives the round trip, every malformed field is refused by name."""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import Any, get_args

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as hnp

from robot_contract import messages as m
from robot_contract import policy_contract as pc
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.errors import ContractError, WireError
from robot_contract.pose import Pose

finite = st.floats(-1e6, 1e6)
positive = st.floats(0, 1e6)
ages = st.floats(0, allow_nan=False)
counts = st.integers(0, 2**31)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text("abcdefgh_", min_size=1, max_size=8)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
openings = st.floats(0, 1)


def vectors(length: int, elements: st.SearchStrategy[float] = finite) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, length, elements=elements)


poses = st.builds(Pose.from_rotation_vector, vectors(3), vectors(3, st.floats(-3, 3)))
images = st.builds(
    m.CameraImage,
    jpeg=st.binary(max_size=40).map(lambda data: b"\xff\xd8" + data),
    width=st.integers(1, 4096),
    height=st.integers(1, 4096),
    exposed_at=finite,
)
observations = st.builds(
    m.Observation,
    policy=names,
    session=names,
    sequence=st.integers(0, 2**63),
    observed_at=finite,
    images=st.dictionaries(names, images, min_size=1, max_size=3),
    tcp_pose=poses,
    joint_position=vectors(7),
    gripper_width=st.floats(0, 0.5),
    gripper_command=openings,
    instruction=st.text("abc xyz", min_size=1, max_size=20),
    deadline=st.floats(0, 3600),
)
chunks = st.builds(
    m.ActionChunk,
    session=names,
    sequence=counts,
    observed_at=finite,
    actions=st.integers(1, 10).flatmap(lambda k: hnp.arrays(np.float64, (k, 7), elements=openings)),
    interface_digest=digests,
    policy_digest=digests,
    timings=st.builds(
        m.Timings, queue=positive, preprocess=positive, model=positive, total=positive, batch_size=counts
    ),
)
refusals = st.builds(
    m.Refusal,
    session=names,
    sequence=counts,
    reason=st.sampled_from(get_args(m.RefusalReason)),
    sentence=texts,
)
verdicts = st.builds(
    m.Verdict,
    kind=st.sampled_from(get_args(m.VerdictKind)),
    reasons=st.lists(texts, max_size=3).map(tuple),
)
statuses = st.builds(
    m.BridgeStatus,
    at=finite,
    rig=texts,
    driver=texts,
    mode=st.sampled_from(get_args(m.Mode)),
    why=texts,
    problems=st.lists(texts, max_size=3).map(tuple),
    needs=texts,
    policy=texts,
    policy_digest=texts,
    trial_id=texts,
    instruction=texts,
    elapsed=positive,
    time_limit=positive,
    verdict=verdicts,
    verdict_counts=st.dictionaries(st.sampled_from(get_args(m.VerdictKind)), counts),
    tcp_pose=poses,
    joint_position=vectors(7),
    tcp_speed=positive,
    gripper_width=positive,
    arm_age=ages,
    cameras=st.lists(
        st.builds(m.CameraStatus, name=names, age=ages, age_limit=ages, rate=positive), max_size=3
    ).map(tuple),
    server=texts,
    server_state=texts,
    chunk_age=ages,
    round_trip_p50=ages,
    round_trip_p99=ages,
    hold_required=st.booleans(),
    held=st.booleans(),
    hold_age=ages,
    lease_holder=texts,
    ticks=counts,
    missed_ticks=counts,
    late_chunks=counts,
    recording=st.builds(
        m.RecordingStatus,
        active=st.booleans(),
        path=texts,
        dropped=counts,
        free_bytes=counts,
        problem=texts,
    ),
    truth=st.none() | st.builds(m.TruthStatus, instruction=texts, stage=texts, success=st.booleans()),
)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
trials = st.builds(
    m.TrialSetup,
    trial_id=ids,
    policy=names,
    instruction=texts,
    start_pose=names,
    time_limit=st.floats(0.1, 86400),
    record=st.booleans(),
    scene=st.none()
    | st.builds(m.SceneSetup, split=names, seed=counts)
    | st.builds(m.SceneSetup, split=st.just(""), seed=counts, document=st.just("{}")),
)
events = st.builds(
    m.OperatorEvent, action=st.sampled_from(get_args(m.OperatorAction)), operator=texts, note=texts
)
heartbeats = st.builds(m.Heartbeat, nonce=counts, press=st.integers(1, 2**40), held=st.booleans())
hold_states = st.builds(m.HoldState, nonce=counts, held=st.booleans(), age=ages, press=counts)
goals = st.builds(m.JointGoal, name=names) | st.builds(
    m.JointGoal, joint_position=st.lists(finite, min_size=7, max_size=7).map(tuple)
)
frames = st.builds(m.CameraFrame, camera=names, image=images, age=ages)
exports = st.builds(
    m.ExportRequest,
    trial_ids=st.lists(ids, max_size=3).map(tuple),
    format=st.sampled_from(["lerobot", "rlds"]),
    destination=ids,
)
progresses = st.builds(m.Progress, done=counts, total=counts, sentence=texts)
server_statuses = st.builds(
    m.ServerStatus,
    version=texts,
    uptime=positive,
    device=texts,
    policies=st.lists(
        st.builds(
            m.PolicyStatus,
            name=names,
            state=st.sampled_from(["loading", "warming", "serving", "draining", "failed"]),
            interface_digest=texts,
            policy_digest=texts,
            sessions=counts,
            served=counts,
            refused=st.dictionaries(names, counts, max_size=3),
        ),
        max_size=2,
    ).map(tuple),
    queue_length=counts,
    batch_seconds=st.tuples(finite, finite),
)


@st.composite
def contracts(draw: st.DrawFn) -> pc.PolicyContract:
    chunk_length = draw(st.integers(1, 30))
    fields = draw(st.lists(st.sampled_from(get_args(pc.ProprioceptionField)), unique=True).map(tuple))
    width = sum(pc.PROPRIOCEPTION_WIDTHS[field] for field in fields)
    close_below, open_above = sorted(draw(st.tuples(openings, openings)))
    cameras = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    small = st.floats(-1, 1)
    low, high = draw(vectors(7, small)), draw(vectors(width, small))
    return pc.PolicyContract(
        name=draw(names),
        reference=draw(st.sampled_from(get_args(pc.Reference))),
        frame=draw(st.sampled_from(get_args(pc.DeltaFrame))),
        execution=draw(st.sampled_from(get_args(pc.Execution))),
        step_period=draw(st.floats(0.01, 2.0)),
        chunk_length=chunk_length,
        execute_steps=draw(st.integers(1, chunk_length)),
        trained_delay_steps=draw(st.integers(0, chunk_length)),
        time_stretch=draw(st.floats(1, 10)),
        max_translation_per_step=draw(st.floats(1e-5, 0.2)),
        max_rotation_per_step=draw(st.floats(1e-5, 1.0)),
        flange_from_tcp=draw(poses),
        gripper=pc.GripperContract(
            max_width=draw(st.floats(0.01, 0.3)), close_below=close_below, open_above=open_above
        ),
        cameras=tuple(
            pc.CameraContract(
                name=name,
                mount=draw(st.sampled_from(get_args(pc.Mount))),
                vertical_field_of_view=draw(st.floats(0.05, 3.0)),
                crop_width=draw(st.floats(0.1, 4.0)),
                crop_height=draw(st.floats(0.1, 1.0)),
                width=draw(st.integers(16, 2048)),
                height=draw(st.integers(16, 2048)),
            )
            for name in cameras
        ),
        max_camera_skew=draw(openings),
        proprioception=fields,
        proprioception_origin=draw(poses),
        prompt_template="In: {instruction}" + draw(texts),
        normalisation=draw(st.sampled_from(get_args(pc.Normalisation))),
        statistics=pc.Statistics(
            action_low=low,
            action_high=low + 1,
            action_mask=tuple(draw(st.lists(st.booleans(), min_size=7, max_size=7))),
            proprioception_low=high - 1,
            proprioception_high=high,
        ),
        weights_digest=draw(digests),
        provenance=tuple(draw(st.dictionaries(names, texts, max_size=3)).items()),
    )


# name: (strategy, to_wire, from_wire, protobuf type)
MESSAGES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any], Callable[[Any], Any], Any]] = {
    "observation": (observations, wire.observation_to_wire, wire.observation_from_wire, pb.Observation),
    "chunk": (chunks, wire.action_chunk_to_wire, wire.action_chunk_from_wire, pb.ActionChunk),
    "refusal": (refusals, wire.refusal_to_wire, wire.refusal_from_wire, pb.Refusal),
    "reply": (chunks | refusals, wire.stream_reply_to_wire, wire.stream_reply_from_wire, pb.StreamReply),
    "contract": (
        contracts(),
        wire.policy_contract_to_wire,
        wire.policy_contract_from_wire,
        pb.PolicyContract,
    ),
    "server status": (
        server_statuses,
        wire.server_status_to_wire,
        wire.server_status_from_wire,
        pb.ServerStatus,
    ),
    "trial": (trials, wire.trial_setup_to_wire, wire.trial_setup_from_wire, pb.TrialSetup),
    "event": (events, wire.operator_event_to_wire, wire.operator_event_from_wire, pb.OperatorEvent),
    "heartbeat": (heartbeats, wire.heartbeat_to_wire, wire.heartbeat_from_wire, pb.Heartbeat),
    "hold state": (hold_states, wire.hold_state_to_wire, wire.hold_state_from_wire, pb.HoldState),
    "goal": (goals, wire.joint_goal_to_wire, wire.joint_goal_from_wire, pb.JointGoal),
    "verdict": (verdicts, wire.verdict_to_wire, wire.verdict_from_wire, pb.Verdict),
    "status": (statuses, wire.bridge_status_to_wire, wire.bridge_status_from_wire, pb.BridgeStatus),
    "frame": (frames, wire.camera_frame_to_wire, wire.camera_frame_from_wire, pb.CameraFrame),
    "image": (images, wire.camera_image_to_wire, wire.camera_image_from_wire, pb.CameraImage),
    "export": (exports, wire.export_request_to_wire, wire.export_request_from_wire, pb.ExportRequest),
    "progress": (progresses, wire.progress_to_wire, wire.progress_from_wire, pb.Progress),
}
each_message = pytest.mark.parametrize("name", MESSAGES)
few = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def document(value: Any) -> Any:
    """Comparable plain values of a message."""
    return {field.name: pc.as_document(getattr(value, field.name)) for field in dataclasses.fields(value)}


@each_message
@few
@given(data=st.data())
def test_every_message_survives_the_wire(name: str, data: st.DataObject) -> None:
    strategy, to_wire, from_wire, message_type = MESSAGES[name]
    message = data.draw(strategy)
    back = from_wire(wire.decode(message_type, to_wire(message).SerializeToString()))
    assert type(back) is type(message)
    assert document(back) == document(message)


@each_message
@settings(few, max_examples=60)
@given(data=st.data())
def test_fuzzed_bytes_raise_nothing_but_wire_errors(name: str, data: st.DataObject) -> None:
    strategy, to_wire, from_wire, message_type = MESSAGES[name]
    sound = bytearray(to_wire(data.draw(strategy)).SerializeToString())
    for _ in range(data.draw(st.integers(0, 6))):
        if sound:
            sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    fuzzed = data.draw(
        st.sampled_from([bytes(sound), bytes(sound[: len(sound) // 2])]) | st.binary(max_size=60)
    )
    with contextlib.suppress(WireError):
        from_wire(wire.decode(message_type, fuzzed))


def sound(name: str) -> Any:
    """A sound protobuf message, to be spoilt."""
    sources: dict[str, Any] = {
        "observation": m.Observation(
            policy="put-on",
            session="s",
            sequence=1,
            observed_at=1.0,
            images={"external": m.CameraImage(jpeg=b"\xff\xd8\xff", width=96, height=96, exposed_at=1.0)},
            tcp_pose=Pose.identity(),
            joint_position=np.zeros(7),
            gripper_width=0.04,
            gripper_command=1.0,
            instruction="put the can on the plate",
            deadline=0.2,
        ),
        "chunk": m.ActionChunk(
            session="s",
            sequence=1,
            observed_at=1.0,
            actions=np.zeros((8, 7)),
            interface_digest="0" * 64,
            policy_digest="0" * 64,
            timings=m.Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1),
        ),
        "trial": m.TrialSetup(
            trial_id="t-1",
            policy="put-on",
            instruction="",
            start_pose="ready",
            time_limit=20.0,
            record=True,
            scene=m.SceneSetup(split="train", seed=1),
        ),
        "goal": m.JointGoal(joint_position=(0.0,) * 7),
        "heartbeat": m.Heartbeat(nonce=1, press=1, held=True),
    }
    return MESSAGES[name][1](sources[name])


def spoil(message: Any, path: str, value: Any) -> None:
    """Set a field by its path; a list replaces a repeated field."""
    *parents, last = path.split(".")
    for parent in parents:
        message = message.images["external"] if parent == "external" else getattr(message, parent)
    if isinstance(value, list):
        del getattr(message, last)[:]
        getattr(message, last).extend(value)
    else:
        setattr(message, last, value)


@pytest.mark.parametrize(
    ("name", "path", "value", "sentence"),
    [
        ("observation", "policy", "", "policy is empty"),
        ("observation", "session", "", "session is empty"),
        ("observation", "session", "s" * 300, "session has 300 characters, expected at most 200"),
        ("observation", "observed_at", math.nan, "observed_at is nan, expected a finite number"),
        ("observation", "deadline", -1.0, "deadline is -1.0, expected a finite number from 0 to 3600"),
        ("observation", "deadline", math.inf, "deadline is inf"),
        ("observation", "gripper_width", 0.6, "gripper_width is 0.6"),
        ("observation", "gripper_command", 1.5, "gripper_command is 1.5"),
        ("observation", "instruction", "", "instruction is empty"),
        ("observation", "joint_position", [0.0] * 6, "joint_position has 6 numbers, expected 7"),
        ("observation", "joint_position", [math.nan] * 7, "joint_position is .* expected finite numbers"),
        ("observation", "tcp_pose.position", [0.0, math.inf, 0.0], "tcp_pose.position is"),
        (
            "observation",
            "tcp_pose.quaternion",
            [0.0, 0.0, 0.0, 2.0],
            "tcp_pose.quaternion has norm 2, expected",
        ),
        ("observation", "tcp_pose.quaternion", [], "tcp_pose.quaternion has 0 numbers, expected 4"),
        ("observation", "external.jpeg", b"", r"images\[external\].jpeg has 0 bytes"),
        ("observation", "external.jpeg", b"GIF89a", r"images\[external\].jpeg does not begin like a JPEG"),
        ("observation", "external.width", 30000, r"images\[external\].width is 30000, expected 1 to 4096"),
        ("observation", "external.height", 0, r"images\[external\].height is 0, expected 1 to 4096"),
        ("observation", "external.exposed_at", math.nan, r"images\[external\].exposed_at is nan"),
        ("chunk", "steps", 7, "actions has 56 numbers, expected 49"),
        ("chunk", "steps", 0, "steps is 0, expected 1 to 256"),
        ("chunk", "actions", [math.nan] * 56, "actions is"),
        ("chunk", "actions", [1.5] * 56, "actions have gripper openings"),
        ("chunk", "interface_digest", "abc", "interface_digest is 'abc', expected a sha256"),
        ("chunk", "policy_digest", "Z" * 64, "policy_digest is"),
        ("chunk", "timings.model", -1.0, "timings.model is -1.0"),
        ("trial", "trial_id", "../etc", "trial_id is '../etc', expected"),
        ("trial", "trial_id", ".hidden", "trial_id is '.hidden', expected"),
        ("trial", "time_limit", 0.0, "time_limit is 0.0"),
        ("trial", "start_pose", "", "start_pose is empty"),
        ("trial", "scene.split", "", "scene needs either a split with a seed, or a document"),
        ("goal", "joint_position", [0.0] * 8, "joint_position has 8 numbers, expected 7"),
        ("goal", "joint_position", [], "joint goal needs either a name or 7 joint_position"),
        ("goal", "name", "home", "joint goal needs either a name or 7 joint_position"),
        ("heartbeat", "press", 0, "press is 0 while held"),
    ],
)
def test_a_malformed_field_is_refused_by_name(name: str, path: str, value: Any, sentence: str) -> None:
    message = sound(name)
    spoil(message, path, value)
    with pytest.raises(WireError, match=f"^{sentence}"):
        MESSAGES[name][2](message)


def test_an_empty_reply_and_an_unset_enum_are_refused() -> None:
    with pytest.raises(WireError, match="reply is empty, expected a chunk or a refusal"):
        wire.stream_reply_from_wire(pb.StreamReply())
    with pytest.raises(WireError, match=r"action has the unknown or unset value 0, expected one of arm, "):
        wire.operator_event_from_wire(pb.OperatorEvent())


@few
@given(contracts())
def test_a_tampered_contract_is_refused(contract: pc.PolicyContract) -> None:
    message = wire.policy_contract_to_wire(contract)
    message.policy_digest = "0" * 64
    with pytest.raises(WireError, match="policy_digest is '0000"):
        wire.policy_contract_from_wire(message)
    message = wire.policy_contract_to_wire(contract)
    message.execute_steps = contract.chunk_length + 1
    with pytest.raises(WireError, match="execute_steps is"):
        wire.policy_contract_from_wire(message)


@few
@given(contracts(), digests)
def test_weights_change_the_policy_but_not_the_interface(contract: pc.PolicyContract, weights: str) -> None:
    other = dataclasses.replace(contract, weights_digest=weights)
    assert other.interface_digest == contract.interface_digest
    assert (other.policy_digest == contract.policy_digest) == (weights == contract.weights_digest)


ONLY_POLICY = {"name", "normalisation", "statistics", "weights_digest", "provenance"}


@few
@given(contracts(), contracts())
def test_every_field_that_the_robot_must_match_is_in_the_interface(
    a: pc.PolicyContract, b: pc.PolicyContract
) -> None:
    for field in dataclasses.fields(pc.PolicyContract):
        if field.name in ONLY_POLICY or field.name == "schema_version":
            continue
        try:
            mixed = dataclasses.replace(a, **{field.name: getattr(b, field.name)})
        except ContractError:  # the two do not fit together in this field
            continue
        same = pc.as_document(getattr(a, field.name)) == pc.as_document(getattr(b, field.name))
        assert (mixed.interface_digest == a.interface_digest) == same, field.name


def test_a_contract_lists_all_its_problems_at_once() -> None:
    with pytest.raises(ContractError, match=r"step_period is 0.*; .*prompt_template lacks \{instruction\}"):
        pc.PolicyContract(
            name="p",
            reference="commanded_chain",
            frame="base",
            execution="synchronous",
            step_period=0.0,
            chunk_length=8,
            execute_steps=8,
            trained_delay_steps=0,
            time_stretch=1.0,
            max_translation_per_step=0.018,
            max_rotation_per_step=0.04,
            flange_from_tcp=Pose.identity(),
            gripper=pc.GripperContract(max_width=0.08, close_below=0.4, open_above=0.6),
            cameras=(
                pc.CameraContract(
                    name="external",
                    mount="external",
                    vertical_field_of_view=0.7,
                    crop_width=1.0,
                    crop_height=1.0,
                    width=96,
                    height=96,
                ),
            ),
            max_camera_skew=0.05,
            proprioception=(),
            proprioception_origin=Pose.identity(),
            prompt_template="do it",
            normalisation="bounds_q99",
            statistics=pc.Statistics(
                action_low=-np.ones(7),
                action_high=np.ones(7),
                action_mask=(True,) * 6 + (False,),
                proprioception_low=np.zeros(0),
                proprioception_high=np.zeros(0),
            ),
            weights_digest="0" * 64,
            provenance=(),
        )
