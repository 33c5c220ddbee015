//! interim
use crate::db::Conn; use crate::config::MailKind; use crate::outside::templates::Rendered; use crate::clock::Timestamp;
pub struct Outbox;
impl Outbox { pub async fn queue(_: &mut Conn, _: MailKind, _: &str, _: &Rendered, _: Timestamp) -> diesel::QueryResult<()> { Ok(()) } }
