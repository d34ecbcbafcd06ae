"""From mesh and camera to fragments, uv maps and per-pixel confidence."""
