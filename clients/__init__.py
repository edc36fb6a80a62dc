"""THE DEMOS: clients short enough to be read whole, on a toolkit as small as they need.

May import: protocol, kms_model. Never: the compositor.
"""
