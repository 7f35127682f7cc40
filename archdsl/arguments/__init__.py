"""Values as specs write them."""
