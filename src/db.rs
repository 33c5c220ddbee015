//! The database: pool, migrations, schema, and a private Postgres for `dev` and tests.

mod batch;
mod connect;
pub mod enums;
pub mod indexes;
pub mod migrations;
mod pool;
pub mod private;
pub mod schema;
mod statement;
mod target;
mod transaction;

pub use batch::{Batch, in_order};
pub use pool::{Pool, PooledConn};
pub use statement::statement;
pub use transaction::transaction;

/// What model methods take: one connection, inside or outside a transaction.
pub type Conn = diesel_async::AsyncPgConnection;
