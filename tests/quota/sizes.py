"""How much `make fuzz` does that `make test` does not."""

import os

IS_FUZZ = os.environ.get("GPULAB_FUZZ") == "1"
