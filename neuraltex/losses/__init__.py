"""Differentiable losses: masked means over valid pixels."""
