//! The read-only page and JSON API: GET and HEAD, loopback only, rendered on the server.
