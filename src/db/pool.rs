//! (being written)

/// The connection pool.
#[derive(Clone)]
pub struct Pool;

/// A connection on loan from the pool.
pub struct PooledConn;
