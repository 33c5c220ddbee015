use axum::extract::{FromRequest, Request};
use secrecy::ExposeSecret;

use super::{SignupParams, message};
use crate::error::{Code, Error};
use crate::web::body::{Body, MAX_BYTES};

fn body(kind: &str, content: impl Into<axum::body::Body>) -> Body {
    let request = Request::builder()
        .header("content-type", kind)
        .body(content.into())
        .unwrap();
    match futures_util::FutureExt::now_or_never(Body::from_request(request, &())) {
        Some(Ok(body)) => body,
        None => panic!("a body in memory is there at once"),
    }
}

const FORM: &str = "Application/X-WWW-Form-URLencoded; charset=utf-8";

#[test]
fn any_content_type_but_the_forms() {
    let text = r#"{"email":"a"}"#;
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
    ] {
        assert_eq!(
            body(kind, text).json::<SignupParams>().unwrap().email,
            "a",
            "{kind}"
        );
    }
    let expected = "Could not parse request body as JSON: unexpected end of JSON input";
    assert_eq!(
        message(body(FORM, "email=a").json::<SignupParams>()),
        expected
    );
}

#[test]
fn forms_where_they_are_taken() {
    let form = body(
        FORM,
        "grant_type=password&username=a%40b.c&password=p+%26&email=x",
    );
    assert_eq!(form.form().unwrap().unwrap().get("grant_type"), "password");
    let params: SignupParams = form.form_or_json().unwrap();
    assert_eq!(
        (&*params.email, params.password.expose_secret()),
        ("a@b.c", "p &")
    );
    let json = body("application/json", r#"{"email":"a","username":"b"}"#);
    assert_eq!(json.form_or_json::<SignupParams>().unwrap().email, "a");
    assert!(json.form().unwrap().is_none());
    let expected = "Could not parse request body as a form: invalid URL escape";
    assert_eq!(
        message(body(FORM, "email=%zz").form_or_json::<SignupParams>()),
        expected
    );
    assert_eq!(
        message(body(FORM, "email=%00").form_or_json::<SignupParams>()),
        "email must not contain a NUL character"
    );
}

#[test]
fn bodies_are_capped() {
    let padded = |length: usize| r#"{"email":"a"}"#.to_owned() + &" ".repeat(length - 13);
    assert_eq!(
        body("", padded(MAX_BYTES))
            .json::<SignupParams>()
            .unwrap()
            .email,
        "a"
    );
    let Err(Error::Refused(refusal)) = body("", padded(MAX_BYTES + 1)).json::<SignupParams>()
    else {
        panic!()
    };
    assert_eq!(
        (refusal.status.as_u16(), refusal.code),
        (413, Code::RequestEntityTooLarge)
    );
    assert_eq!(
        refusal.message,
        "Request body too large (max 1048576 bytes)"
    );
    assert_eq!(
        message(body("", padded(MAX_BYTES + 1)).first_json::<SignupParams>()),
        "Could not read verification params: http: request body too large"
    );
}

#[test]
fn magiclink_reads_the_first_value() {
    let fault = |text: &'static str| message(body("", text).first_json::<SignupParams>());
    let cases = [
        ("", "EOF"),
        (" \n", "EOF"),
        ("{", "unexpected EOF"),
        ("nul", "unexpected EOF"),
        ("x", "invalid character 'x' looking for beginning of value"),
        (
            "5x",
            "json: cannot unmarshal number into Go value of type api.SignupParams",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            fault(text),
            format!("Could not read verification params: {expected}"),
            "{text}"
        );
    }
    assert_eq!(
        body("", r#"{"email":"a"} x"#)
            .first_json::<SignupParams>()
            .unwrap()
            .email,
        "a"
    );
}
