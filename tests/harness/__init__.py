"""What the proxy tests stand on: real LiteLLM proxies, a real Redis and a scripted provider, all on loopback."""
