"""Authorization plugins: programs that are asked before each request and before each answer."""
