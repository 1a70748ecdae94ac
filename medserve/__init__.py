"""medserve: what a caller of the service installs."""
