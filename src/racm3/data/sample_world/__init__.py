"""The sample world: things with names, and scenes drawn from them by a small grammar."""
