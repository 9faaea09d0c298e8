"""Processor instructions that numba does not offer itself."""
