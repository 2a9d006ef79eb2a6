"""The front door: who may be connected and for how long (`connections`), the accepting
(`listener`), and the certificate (`tls`). What is asked over a connection is aiohttp's."""
