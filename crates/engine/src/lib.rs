//! Fetch, gather facts, plan, create: the drivers that tie core to client.
