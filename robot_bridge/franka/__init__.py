"""The driver of a Franka arm over its control interface; `fci.py`, `hand.py` and `desk.py` import franky."""
