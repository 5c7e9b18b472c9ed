"""The contracts between the services and the kit that carries them."""
