"""How a running daemon is looked at, and told what to do, from outside: HTTP and JSON on a unix socket."""
