"""The public status page: what the customers were told, and nothing else.

`model` makes it from the updates that were sent to one audience, `html` sets it. It holds no name
of a person, a service or an incident of ours: only texts that somebody has released for the public.
"""
