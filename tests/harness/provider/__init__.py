"""A provider that does what each request tells it to, in a process of its own."""
