"""Shared by all jobs: command lines, settings, the home folder, failures and exit codes, privacy, locks."""
