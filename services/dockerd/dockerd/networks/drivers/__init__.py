"""Network drivers: one module a driver, behind the Protocol in ``base``."""
