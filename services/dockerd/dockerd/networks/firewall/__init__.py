"""The firewall table of one stack, and its peace with foreign ones."""
