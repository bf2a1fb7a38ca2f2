//! The control socket: the only place that mutates. HTTP and JSON over a Unix socket, each call audited.
