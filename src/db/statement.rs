//! Hand-written SQL that is prepared once per connection.
//!
//! `diesel::sql_query` is prepared anew at each call, which costs a round trip; the statements of the
//! hot paths (locks, CTEs) are written here instead and cached by their text.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// A statement under construction: fixed text, and its binds in the order of `$1`, `$2`, ..
pub struct Statement<Binds = ()> {
    sql: &'static str,
    binds: Binds,
}

/// One bound value; `Type` is its SQL type.
pub struct Bind<Rest, Type, Value> {
    rest: Rest,
    value: Value,
    sql_type: std::marker::PhantomData<fn() -> Type>,
}

/// Starts a statement from its text.
#[must_use]
pub const fn statement(sql: &'static str) -> Statement {
    Statement { sql, binds: () }
}

impl<Binds> Statement<Binds> {
    /// Binds the next value.
    #[must_use]
    pub fn bind<Type, Value>(self, value: Value) -> Statement<Bind<Binds, Type, Value>> {
        Statement {
            sql: self.sql,
            binds: Bind {
                rest: self.binds,
                value,
                sql_type: std::marker::PhantomData,
            },
        }
    }
}

/// The binds of a statement, first to last.
pub trait Binds {
    /// Pushes each bind after the text.
    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

impl Binds for () {
    fn push<'b>(&'b self, _: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Ok(())
    }
}

impl<Rest: Binds, Type, Value> Binds for Bind<Rest, Type, Value>
where
    Pg: HasSqlType<Type>,
    Value: ToSql<Type, Pg>,
{
    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.rest.push(out)?;
        out.push_bind_param::<Type, Value>(&self.value)
    }
}

impl<B: Binds> QueryFragment<Pg> for Statement<B> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Diesel writes the placeholder of each bind where it is pushed. The text names its own (`$1` may
        // stand in it twice, or not in order), so Diesel's go into a comment.
        out.push_sql(self.sql);
        out.push_sql(" /* ");
        self.binds.push(&mut out)?;
        out.push_sql(" */");
        Ok(())
    }
}

impl<B> QueryId for Statement<B> {
    type QueryId = ();
    // Cached by text: two statements may have binds of the same types.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<B> Query for Statement<B> {
    type SqlType = Untyped;
}

impl<B, C> diesel::RunQueryDsl<C> for Statement<B> {}
