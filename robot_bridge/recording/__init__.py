"""Honest records: one MCAP file per trial, written by a process of its own, and what can be made of it."""
