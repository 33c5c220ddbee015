//! `/verify`: the link of a mail, or the code in it.

use axum::extract::{RawQuery, State};
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::json;

use super::caller::Visitor;
use super::views::{session_pairs, signed_in};
use crate::app::App;
use crate::auth::invalid;
use crate::auth::verify::{self, HALF_DONE, Kind, Proof, Verified};
use crate::error::{Error, Result, failed};
use crate::params;
use crate::urls::query::Pairs;
use crate::web::body::Body;
use crate::web::json::Json;
use crate::web::limits::Bucket;
use crate::web::redirect;

params! {
    /// A code or a hash.
    struct VerifyParams {
        kind as "type": String,
        token: String,
        token_hash: String,
        email: String,
        phone: String,
        redirect_to: String,
    }
}

/// `GET /verify`: somebody followed a link. Whatever comes of it, the browser is sent on.
pub async fn by_link(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response> {
    visitor.limit(&app, Bucket::Verify)?;
    let query = Pairs::parse_lenient(query.as_deref().unwrap_or_default());
    let (name, hash) = (query.get("type"), query.get("token"));
    if name.is_empty() {
        return Err(invalid("Verify requires a verification type"));
    }
    if hash.is_empty() {
        return Err(invalid("Verify requires a token or a token hash"));
    }
    let target = &visitor.client.redirect_to;
    let pkce = hash.starts_with("pkce_");
    let verified = match Kind::parse(name) {
        None | Some(Kind::Sms | Kind::PhoneChange) => {
            Err(invalid("Invalid email verification type"))
        }
        Some(kind) => {
            verify::verify(
                &app,
                &visitor.client,
                kind,
                &Proof::Hash(hash.to_owned()),
                pkce,
            )
            .await
        }
    };
    match verified {
        Ok((Verified::In(grant), kind)) => {
            let mut pairs = session_pairs(&app, &grant).await?;
            pairs.push(("type", kind.as_str().to_owned()));
            let location = redirect::with_fragment(target, &pairs);
            Ok(redirect::see_other(&location, &grant.headers))
        }
        Ok((Verified::Code(code), _)) => Ok(redirect::see_other(
            &redirect::with_query(target, &[("code", &code)]),
            &[],
        )),
        Ok((Verified::Half, _)) => Ok(redirect::see_other(
            &redirect::with_message(target, HALF_DONE, pkce),
            &[],
        )),
        Err(error) => {
            if let Error::Failed(failure) = &error {
                tracing::error!("a link could not be followed: {:#}", failure.cause);
            }
            let location = redirect::with_error(target, &error, pkce);
            Ok(redirect::see_other(&location, &[]))
        }
    }
}

/// `POST /verify`: somebody typed a code, or an application hands over a hash.
pub async fn by_code(State(app): State<App>, visitor: Visitor, body: Body) -> Result<Response> {
    visitor.limit(&app, Bucket::Verify)?;
    let VerifyParams {
        kind: name,
        token,
        token_hash: hash,
        email,
        phone,
        redirect_to,
    } = body.json()?;
    if name.is_empty() {
        return Err(invalid("Verify requires a verification type"));
    }
    if token.is_empty() == hash.is_empty() {
        return Err(invalid("Verify requires either a token or a token hash"));
    }
    let proof = match (email.is_empty(), phone.is_empty()) {
        _ if token.is_empty()
            && (!email.is_empty() || !phone.is_empty() || !redirect_to.is_empty()) =>
        {
            return Err(invalid("Only the token_hash and type should be provided"));
        }
        _ if token.is_empty() => Proof::Hash(hash),
        (true, false) => Proof::PhoneCode { phone, code: token },
        (false, true) => Proof::EmailCode { email, code: token },
        _ => {
            return Err(invalid(
                "Only an email address or phone number should be provided on verify",
            ));
        }
    };
    let verified = verify::verify_named(&app, &visitor.client, &name, &proof).await?;
    match verified {
        Verified::In(grant) => signed_in(&app, &grant).await,
        Verified::Half => Ok(Json(json!({ "msg": HALF_DONE, "code": "200" })).into_response()),
        Verified::Code(_) => Err(failed(
            "Unexpected verification",
            anyhow::anyhow!("a code without a flow"),
        )),
    }
}
