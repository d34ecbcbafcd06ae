"""The texture as the solution of normal equations that are summed photograph by photograph."""
