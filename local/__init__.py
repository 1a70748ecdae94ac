"""All of it on one machine: trains what is missing, starts the model server and the gateway, and asks them.

    __main__ → prepare → stack → process; and demo, which is a client like any other

Nothing here is imported by the pieces: it runs their commands.
"""
