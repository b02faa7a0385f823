"""RealSense cameras: by serial, newest colour frame, one look, one clock, back by themselves after an unplug.

The only package that imports `pyrealsense2`; it is imported itself only where a rig or a command names it.
"""
