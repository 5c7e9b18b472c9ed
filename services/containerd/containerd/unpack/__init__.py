"""From an image's layers to snapshots."""
