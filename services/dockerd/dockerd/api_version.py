"""Which versions of the Engine API are spoken."""

from typing import Final

MAXIMUM: Final = "1.51"
MINIMUM: Final = "1.24"
