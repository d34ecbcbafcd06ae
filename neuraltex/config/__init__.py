"""Configuration: torch-free frozen dataclasses, presets, YAML."""
