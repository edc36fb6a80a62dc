"""THE LANGUAGE: the grammar of messages, two wires, one connection. It gives them no meaning.

May import: itself. Never: the machine, the compositor.
"""
