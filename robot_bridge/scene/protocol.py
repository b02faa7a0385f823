"""The put-on task's rate, bounds and length: the envelope that policies are trained in and run in."""

CONTROL_RATE_HZ = 10.0
MAX_TRANSLATION = 0.018  # [m] per step, norm
MAX_ROTATION = 0.04  # [rad] per step, norm
EPISODE_STEPS = 120
OPEN_WIDTH = 0.080  # [m] between the fingers at gripper opening 1
