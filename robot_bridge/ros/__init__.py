"""The bridge as a ROS 2 node. Only this folder and `drivers/crisp.py` import rclpy; nothing else needs ROS."""
