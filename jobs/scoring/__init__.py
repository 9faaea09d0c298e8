"""One scored day: survey, workers, quarantine, audit and the sample for people to label."""
