"""The pages for people: what is broken, what is being done about it, and the buttons to steer it.

Everything works without JavaScript; a small script only keeps an open page true. Each page is
read by a `viewer`; whatever changes something is a POST by a `responder`, and records who.
"""
