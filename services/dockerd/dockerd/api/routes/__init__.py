"""One file a resource group."""
