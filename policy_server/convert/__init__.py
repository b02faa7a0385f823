"""Published OpenVLA and OpenVLA-OFT checkpoints into checkpoint folders, offline, once.

The only place in the project where a torch pickle is opened, and then for tensors alone. Nothing is guessed:
what a published folder does not say (robot, cameras, data set) comes from the person who converts.
"""
