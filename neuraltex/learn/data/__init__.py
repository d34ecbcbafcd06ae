"""Training data: folders of samples."""
