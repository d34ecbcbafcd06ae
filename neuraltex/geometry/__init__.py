"""Meshes, cameras and scenes as plain values; no file access."""
