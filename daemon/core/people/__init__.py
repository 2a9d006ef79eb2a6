"""Who there is: the roster, schedules and calendars, audiences, access and scopes."""
