"""ament_python refuses a package without this file; everything stands in setup.cfg."""

from setuptools import setup

setup()
