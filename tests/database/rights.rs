//! A role without rights is told what it lacks, and that is enough.

use tokio_postgres::{Client, Config, NoTls};
use truegate::db::migrations::{Patience, SchemaState, check, migrate};
use truegate::error::Error;

use crate::support::database::Database;

/// Connects as a role of this test's own.
async fn connect_as(database: &Database, role: &str) -> Client {
    let mut config: Config = database.url.parse().unwrap();
    let (client, connection) = config
        .user(role)
        .password("secret")
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// What `migrate` says, with the statements that a superuser is to run.
async fn refused(client: &mut Client) -> (String, String) {
    let Err(Error::Failed(failure)) = migrate(client, "auth", &Patience::default()).await else {
        panic!("it was allowed");
    };
    let text = failure.cause.to_string();
    let (said, grants) = text
        .split_once(" A superuser can allow it:\n")
        .unwrap_or_else(|| panic!("no advice: {text}"));
    (said.to_owned(), grants.to_owned())
}

/// Runs a test with two roles that may nothing, `stranger` and `owner`, and removes them.
async fn with_roles(name: &str, test: impl AsyncFn(&Database, &Client, &str, &str)) {
    let database = Database::empty().await;
    let admin = database.connect().await;
    let pid = std::process::id();
    let (role, owner) = (
        format!("truegate_test_{name}_{pid}"),
        format!("truegate_test_{name}_owner_{pid}"),
    );
    admin.batch_execute(&format!("create role {role} login noinherit password 'secret'; create role {owner} login password 'secret'")).await.unwrap();
    test(&database, &admin, &role, &owner).await;
    admin
        .batch_execute(&format!(
            "drop owned by {role}, {owner} cascade; drop role {role}, {owner}"
        ))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_schema_has_to_be_made() {
    with_roles("make", async |database, admin, role, _| {
        let mut client = connect_as(database, role).await;
        let (said, grants) = refused(&mut client).await;
        assert!(said.starts_with("The database refused running `create schema \"auth\"`: permission denied for database"), "{said}");
        let config: Config = database.url.parse().unwrap();
        let name = config.get_dbname().unwrap();
        assert_eq!(grants, format!("  GRANT CREATE ON DATABASE {name} TO {role};"));

        admin.batch_execute(&grants).await.unwrap();
        migrate(&mut client, "auth", &Patience::default()).await.unwrap();
        assert_eq!(check(&client, "auth").await.unwrap(), SchemaState::UpToDate);
    })
    .await;
}

#[tokio::test]
async fn the_owner_of_the_schema_needs_no_more_than_ours() {
    with_roles("own", async |database, admin, role, _| {
        admin.batch_execute(&format!("create schema auth authorization {role}; create schema truegate authorization {role}")).await.unwrap();
        let mut client = connect_as(database, role).await;
        migrate(&mut client, "auth", &Patience::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_schema_of_somebody_else() {
    with_roles("else", async |database, admin, role, owner| {
        admin.batch_execute(&format!("create schema auth authorization {owner}; create schema truegate authorization {role}")).await.unwrap();
        let mut client = connect_as(database, role).await;
        let (_, grants) = refused(&mut client).await;
        assert_eq!(grants, format!("  GRANT USAGE, CREATE ON SCHEMA auth TO {role};"));

        admin.batch_execute(&grants).await.unwrap();
        migrate(&mut client, "auth", &Patience::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn tables_of_somebody_else() {
    with_roles("tables", async |database, admin, role, owner| {
        admin.batch_execute(&format!("create schema auth authorization {owner}; create schema truegate authorization {owner}")).await.unwrap();
        let mut first = connect_as(database, owner).await;
        migrate(&mut first, "auth", &Patience::default()).await.unwrap();
        admin.batch_execute("delete from auth.schema_migrations where version > '2026'").await.unwrap();

        let mut client = connect_as(database, role).await;
        let (said, grants) = refused(&mut client).await;
        assert_eq!(said, "The database refused reading which migrations it has: permission denied for schema auth.");
        let wanted = format!(
            "  GRANT USAGE, CREATE ON SCHEMA auth TO {role};\n  GRANT USAGE, CREATE ON SCHEMA truegate TO {role};\n  \
             GRANT {owner} TO {role}; -- who owns what is in there\n  ALTER ROLE {role} INHERIT;"
        );
        assert_eq!(grants, wanted);

        admin.batch_execute(&grants).await.unwrap();
        migrate(&mut client, "auth", &Patience::default()).await.unwrap();
    })
    .await;
}
