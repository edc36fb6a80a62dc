"""Syncline: an executable reference of explicit GPU synchronisation on the Linux display stack."""
