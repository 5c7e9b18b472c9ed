"""The composition root: a file for each subsystem makes its objects by hand, and ``serve`` runs them."""
