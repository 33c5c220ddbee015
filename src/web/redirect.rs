//! interim
use crate::error::Refusal;
use axum::response::Response;
pub fn with_fragment(target: &str, pairs: &[(&'static str, String)]) -> String {
    let q: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("{target}#{q}")
}
pub fn with_query(target: &str, pairs: &[(&str, &str)]) -> String {
    let q: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("{target}?{q}")
}
pub fn with_message(target: &str, m: &str, _: bool) -> String {
    with_fragment(target, &[("message", m.into()), ("sb", String::new())])
}
pub fn with_refusal(target: &str, r: &Refusal, _: bool) -> String {
    with_fragment(
        target,
        &[
            ("error_description", r.message.to_string()),
            ("sb", String::new()),
        ],
    )
}
pub fn see_other(location: &str, headers: &[(&'static str, String)]) -> Response {
    let mut b = Response::builder().status(303).header("location", location);
    for (n, v) in headers {
        b = b.header(*n, v);
    }
    b.body("".into()).unwrap()
}
