"""Stands for LiteLLM's database client, which its image has and asks for the kinds of errors when it refuses a key."""

from . import errors as errors
