"""What all tests share."""

import asyncio

# pytest-asyncio asks for the current event loop before each test. On Python 3.11 that makes one
# which nobody closes, unless it was said that there is none.
asyncio.set_event_loop(None)
