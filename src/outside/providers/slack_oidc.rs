//! "Sign in with Slack".

use super::{Facts, Place, Profile, Visit, slack};

pub const FACTS: Facts = Facts {
    authorize: "/openid/connect/authorize",
    token: Place::Auth("/api/openid.connect.token"),
    ..slack::FACTS
};

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    slack::verified_or_not(visit).await
}
