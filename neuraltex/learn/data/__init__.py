"""Training data: folders of samples, and samples made by a procedure."""
