"""Presets as data; installed as ``neuraltex.presets``."""
