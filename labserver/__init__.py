"""A model service, built step by step over ten lessons on putting models into production."""

import os

__version__ = "0.1.0"

# Since 1.29 ONNX Runtime's wheels report to their maker from the moment they are imported, unless they find this.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
