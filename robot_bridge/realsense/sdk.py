"""The one place where librealsense enters: its Python module carries no types."""

from typing import Any

import pyrealsense2

rs: Any = pyrealsense2
