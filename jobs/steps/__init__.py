"""The steps of a night, load, score and report: functions of an open session and typed options."""
