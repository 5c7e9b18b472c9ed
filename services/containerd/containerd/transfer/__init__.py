"""Moving images: pull, import, export."""
