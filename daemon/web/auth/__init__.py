"""Who asks, and what they may: tokens, passwords, OpenID Connect, proxies, signatures, CSRF."""
