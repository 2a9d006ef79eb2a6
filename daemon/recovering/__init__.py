"""One step of the plan, carried out: intent, preflight, run, outcome, each journaled.

`steps` is the way in, `attempt` one try from the preflight to the outcome, `preconditions` what
must hold still at the moment of acting, `action_calls` how an action's own code is called.
"""
