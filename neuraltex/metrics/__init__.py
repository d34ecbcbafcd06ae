"""Scores that are reported, as opposed to losses that are minimized."""
