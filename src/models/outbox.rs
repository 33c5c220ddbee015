//! interim
use crate::clock::Timestamp;
use crate::config::MailKind;
use crate::db::Conn;
use crate::outside::templates::Rendered;
pub struct Outbox;
impl Outbox {
    pub async fn queue(
        _: &mut Conn,
        _: MailKind,
        _: &str,
        _: &Rendered,
        _: Timestamp,
    ) -> diesel::QueryResult<()> {
        Ok(())
    }
}
