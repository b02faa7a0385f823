"""The bridge as a ROS 2 node. This folder and `drivers/crisp.py` import rclpy; nothing else needs ROS."""
