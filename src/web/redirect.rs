//! Redirects as GoTrue sends them: how parameters get into a target, and how the answer looks.
//! Whether the target may be used is `auth::redirect`'s matter.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::error::{Code, Error};
use crate::urls::GoUrl;
use crate::urls::query::Pairs;

/// 303 See Other with these further headers.
#[must_use]
pub fn see_other(target: &str, headers: &[(&'static str, String)]) -> Response {
    redirect(StatusCode::SEE_OTHER, target, headers)
}

/// 302 Found with these further headers.
#[must_use]
pub fn found(target: &str, headers: &[(&'static str, String)]) -> Response {
    redirect(StatusCode::FOUND, target, headers)
}

/// The same without the page for people, which Go writes for GET alone.
#[must_use]
pub fn without_page(mut response: Response) -> Response {
    *response.body_mut() = Body::empty();
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

/// A redirect with the body that Go's `http.Redirect` writes.
fn redirect(status: StatusCode, target: &str, headers: &[(&'static str, String)]) -> Response {
    let name = status.canonical_reason().unwrap_or_default();
    let body = format!("<a href=\"{}\">{name}</a>.\n\n", escape_html(target));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let further = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value));
    for (name, value) in further.chain([(header::LOCATION, &location(target))]) {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// The target as it is, but for bytes that are no ASCII.
fn location(target: &str) -> String {
    let mut location = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            b' '..=b'~' => location.push(char::from(byte)),
            0x80.. => location.extend(['%', hex(byte >> 4), hex(byte & 15)]),
            // No header line may end early; Go writes a blank.
            _ => location.push(' '),
        }
    }
    location
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or_default()
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A target with what signing in gives in its fragment. It is put behind a `#` even if there is one already, and
/// nothing else is touched.
#[must_use]
pub fn with_fragment(target: &str, pairs: &[(&'static str, String)]) -> String {
    let pairs: Pairs = pairs
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    format!("{target}#{}", pairs.encode())
}

/// A target with parameters in its query, which replace those of the same name. The query is sorted on the way, and
/// the rest printed as Go prints URLs. A target that is no URL to Go (only `SITE_URL` can be) stays as it is.
#[must_use]
pub fn with_query(target: &str, pairs: &[(&str, &str)]) -> String {
    GoUrl::parse(target).map_or_else(
        |_| target.to_owned(),
        |url| extended(url, pairs).to_string(),
    )
}

/// A target with a message, in the fragment and, where a code was awaited, in the query.
#[must_use]
pub fn with_message(target: &str, message: &str, is_pkce: bool) -> String {
    // GoTrue prints the query anew in either case.
    with_notice(&with_query(target, &[]), &[("message", message)], is_pkce)
}

/// A target with what went wrong, in the fragment and, where a code was awaited, in the query.
#[must_use]
pub fn with_error(target: &str, error: &Error, is_pkce: bool) -> String {
    with_notice(target, &error_pairs(error, kind(error)), is_pkce)
}

/// A target with what went wrong on the way back from a provider, in the query alone.
#[must_use]
pub fn with_error_in_query(target: &str, error: &Error) -> String {
    with_query(target, &provider_error_pairs(error))
}

/// A target with what went wrong at a provider or with what it told, in the query and in the fragment (GoTrue's
/// `redirectErrors`).
#[must_use]
pub fn with_provider_error(target: &str, error: &Error) -> String {
    let pairs = provider_error_pairs(error);
    let target = with_query(target, &pairs);
    let told: Vec<_> = pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    with_notice(&target, &told, false)
}

/// The word of RFC 6749, section 4.1.2.1, for an error's status, where GoTrue has one.
fn kind(error: &Error) -> Option<&'static str> {
    Some(match error.status().as_u16() {
        400 => "invalid_request",
        401 => "unauthorized_client",
        403 => "access_denied",
        500 => "server_error",
        503 => "temporarily_unavailable",
        _ => return None,
    })
}

fn error_pairs<'a>(error: &'a Error, kind: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    let (code, description) = match error {
        Error::Refused(refusal) => (refusal.code.as_str(), &*refusal.message),
        Error::Oauth { error, description } => (&**error, &**description),
        Error::Unavailable(unavailable) => (Code::UnexpectedFailure.as_str(), unavailable.message),
        Error::Failed(failure) => (Code::UnexpectedFailure.as_str(), &*failure.message),
    };
    let mut pairs = vec![("error_code", code), ("error_description", description)];
    pairs.extend(kind.map(|kind| ("error", kind)));
    pairs
}

/// The same for the way back from a provider: what the provider itself says has no code of ours.
fn provider_error_pairs(error: &Error) -> Vec<(&'static str, &str)> {
    if let Error::Oauth { error, description } = error {
        return vec![("error", error), ("error_description", description)];
    }
    let kind = match error.code() {
        Some(Code::SignupDisabled | Code::UserBanned | Code::ProviderEmailNeedsVerification) => {
            "access_denied"
        }
        _ => kind(error).unwrap_or("server_error"),
    };
    error_pairs(error, Some(kind))
}

/// The fragment is replaced. Escapes in it are escaped again: that is what clients of GoTrue decode.
fn with_notice(target: &str, pairs: &[(&str, &str)], is_pkce: bool) -> String {
    let Ok(url) = GoUrl::parse(target) else {
        return target.to_owned();
    };
    let mut url = if is_pkce { extended(url, pairs) } else { url };
    // The mark by which clients know that it was this server who sent the browser on.
    let marked: Pairs = pairs.iter().copied().chain([("sb", "")]).collect();
    url.set_fragment(&marked.encode());
    url.to_string()
}

fn extended(mut url: GoUrl, pairs: &[(&str, &str)]) -> GoUrl {
    let mut query = Pairs::parse_lenient(&url.query);
    for (name, value) in pairs {
        query.set(name, value);
    }
    url.query = query.encode();
    url
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::{see_other, with_error, with_fragment, with_message, with_query};
    use crate::error::{Code, bad_request, failed, forbidden, unprocessable};

    #[test]
    fn the_answer_is_gos() {
        let response = see_other(
            "https://a.b/é \"<'>&#x\r\ny",
            &[("sb-auth-user-id", "1".to_owned())],
        );
        assert_eq!(response.status(), 303);
        assert_eq!(
            response.headers()["location"],
            "https://a.b/%c3%a9 \"<'>&#x  y"
        );
        assert_eq!(
            response.headers()["content-type"],
            "text/html; charset=utf-8"
        );
        assert_eq!(response.headers()["sb-auth-user-id"], "1");
        let body = response
            .into_body()
            .collect()
            .now_or_never()
            .unwrap()
            .unwrap()
            .to_bytes();
        let expected =
            "<a href=\"https://a.b/é &#34;&lt;&#39;&gt;&amp;#x\r\ny\">See Other</a>.\n\n";
        assert_eq!(body, expected.as_bytes());
    }

    #[test]
    fn attack_009_no_header_lines_in_a_location() {
        for target in [
            "https://a.b/\r\nSet-Cookie: x=y",
            "https://a.b/\n\n<script>",
            "https://a.b/\0\u{7f}\u{85}",
        ] {
            let response = see_other(target, &[]);
            assert_eq!(response.headers().len(), 2);
            let location = response.headers()["location"].to_str().unwrap();
            assert!(
                location.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{location:?}"
            );
        }
    }

    #[test]
    fn tokens_are_appended_to_the_text() {
        let pairs = [
            ("type", "signup"),
            ("access_token", "a.b-c_"),
            ("sb", ""),
            ("x", "a b/c"),
        ];
        let pairs = pairs.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(
            with_fragment("https://a.b/x y?q#old", &pairs),
            "https://a.b/x y?q#old#access_token=a.b-c_&sb=&type=signup&x=a+b%2Fc"
        );
    }

    #[test]
    fn a_code_goes_into_the_query() {
        assert_eq!(
            with_query("https://a.b", &[("code", "1-2")]),
            "https://a.b?code=1-2"
        );
        assert_eq!(
            with_query("https://a.b/x y?z=1&code=0&a=%20#f", &[("code", "1")]),
            "https://a.b/x%20y?a=+&code=1&z=1#f"
        );
        assert_eq!(
            with_query("myapp://cb", &[("code", "1")]),
            "myapp://cb?code=1"
        );
        assert_eq!(
            with_query("com.app:/cb", &[("code", "1")]),
            "com.app:/cb?code=1"
        );
        assert_eq!(
            with_query("https://a.b?", &[("code", "")]),
            "https://a.b?code="
        );
        assert_eq!(with_query("%zz", &[("code", "1")]), "%zz");
    }

    #[test]
    fn refusals_as_recorded() {
        let expired = forbidden(Code::OtpExpired, "Email link is invalid or has expired");
        let fragment = "error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired&sb=";
        assert_eq!(
            with_error("https://a.b", &expired, false),
            format!("https://a.b#{fragment}")
        );
        let refused = unprocessable(Code::SignupDisabled, "x");
        assert_eq!(
            with_error("https://a.b", &refused, false),
            "https://a.b#error_code=signup_disabled&error_description=x&sb="
        );
        let failure = failed("Error updating user", anyhow::anyhow!("a secret"));
        assert_eq!(
            with_error("https://a.b", &failure, false),
            "https://a.b#error=server_error&error_code=unexpected_failure&error_description=Error+updating+user&sb="
        );
    }

    #[test]
    fn notices_are_escaped_twice() {
        let refused = bad_request(Code::ValidationFailed, "a 50% / ü & \"b\"");
        let fragment = "error=invalid_request&error_code=validation_failed\
                        &error_description=a+50%2525+%252F+%25C3%25BC+%2526+%2522b%2522&sb=";
        let target = "https://a.b/?z=1&error=0#old";
        assert_eq!(
            with_error(target, &refused, false),
            format!("https://a.b/?z=1&error=0#{fragment}")
        );
        let query = "error=invalid_request&error_code=validation_failed\
                     &error_description=a+50%25+%2F+%C3%BC+%26+%22b%22&z=1";
        assert_eq!(
            with_error(target, &refused, true),
            format!("https://a.b/?{query}#{fragment}")
        );
    }

    #[test]
    fn messages() {
        assert_eq!(
            with_message("https://a.b/?z=1&a=2#old", "a b/c", false),
            "https://a.b/?a=2&z=1#message=a+b%252Fc&sb="
        );
        assert_eq!(
            with_message("https://a.b", "a", true),
            "https://a.b?message=a#message=a&sb="
        );
    }
}
