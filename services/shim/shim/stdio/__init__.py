"""Where the streams of a process come from and go to."""
