"""Images, as Docker shows them."""
