"""`containerd verify`: whether what the records say is what is on disk, and mending what is not."""
