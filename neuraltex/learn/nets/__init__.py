"""Networks: what they take and give is in ``inputs`` and ``outputs``."""
