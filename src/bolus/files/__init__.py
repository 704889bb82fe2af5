"""Reading files of strangers, and writing our own whole or not at all."""
