"""Differentiable-rendering optimization of textures.

The package imports nothing heavy by itself: every capability lives in a subpackage and is imported where it is used,
so that ``neuraltex --help`` answers at once.
"""

__version__ = "0.1.0"
