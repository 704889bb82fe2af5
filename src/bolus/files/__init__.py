"""Reading untrusted files, and writing files completely or not at all."""
