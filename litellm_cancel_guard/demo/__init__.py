"""`litellm-cancel-guard demo`: the leak and its cure on a real LiteLLM, on a machine with Python and nothing else."""
