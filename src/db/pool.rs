//! interim
use crate::error::{Error, Result};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool};
#[derive(Clone)]
pub struct Pool(deadpool::Pool<AsyncPgConnection>);
pub type PooledConn = deadpool::Object<AsyncPgConnection>;
impl Pool {
    pub fn new(config: &crate::config::Config) -> anyhow::Result<Self> {
        use secrecy::ExposeSecret;
        let m = AsyncDieselConnectionManager::new(config.db.database_url.expose_secret());
        Ok(Self(deadpool::Pool::builder(m).max_size(8).build()?))
    }
    pub async fn get(&self) -> Result<PooledConn> {
        self.0.get().await.map_err(Error::database_away)
    }
}
