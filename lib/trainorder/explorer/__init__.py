"""The order explorer: one page that replays a schedule with the reduced model, without a server."""
