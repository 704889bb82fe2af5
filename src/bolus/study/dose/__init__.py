"""What fewer frames and a lower dose cost."""
