"""All of it on one machine: trains what is missing, starts the model server and the gateway, and asks them."""
