mod reading;

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Params, parse};
use crate::error::{Code, Error, Result};

crate::params! {
    struct SignupParams {
        email: String,
        password: SecretString,
        data: Option<Map<String, Value>>,
    }
}

crate::params! {
    struct CaptchaSecurity {
        captcha_token: String,
    }
}

crate::params! {
    struct MixedParams {
        gotrue_meta_security: CaptchaSecurity,
        provider_id: Uuid,
        count: i64,
        domains: Vec<String>,
        create_user: bool = true,
        current_password: Option<SecretString>,
        kind as "type": String,
    }
}

fn message<T: Params>(result: Result<T>) -> String {
    match result {
        Err(Error::Refused(refusal)) => {
            assert_eq!(refusal.status, 400);
            let expected = if refusal.message.contains("NUL") {
                Code::ValidationFailed
            } else {
                Code::BadJson
            };
            assert_eq!(refusal.code, expected);
            refusal.message.into_owned()
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => "fine".to_owned(),
    }
}

/// The message about this body, without what it starts with.
fn fault<T: Params>(text: impl AsRef<[u8]>) -> String {
    let message = message(parse::<T>(text.as_ref()));
    message
        .strip_prefix("Could not parse request body as JSON: ")
        .map_or(message.clone(), str::to_owned)
}

#[test]
fn syntax_errors_are_gos() {
    let cases = [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        (r#"{"a""#, "unexpected end of JSON input"),
        (r#""a"#, "unexpected end of JSON input"),
        (
            "nope",
            "invalid character 'o' in literal null (expecting 'u')",
        ),
        (
            "tru",
            "invalid character ' ' in literal true (expecting 'e')",
        ),
        (
            "fals!",
            "invalid character '!' in literal false (expecting 'e')",
        ),
        ("x", "invalid character 'x' looking for beginning of value"),
        (
            "{'a':1}",
            r"invalid character '\'' looking for beginning of object key string",
        ),
        (
            r#"{"a":1,}"#,
            "invalid character '}' looking for beginning of object key string",
        ),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (
            r#"{"a":1 "b"}"#,
            "invalid character '\"' after object key:value pair",
        ),
        ("[1 2]", "invalid character '2' after array element"),
        (
            "[1,]",
            "invalid character ']' looking for beginning of value",
        ),
        ("{} x", "invalid character 'x' after top-level value"),
        ("01", "invalid character '1' after top-level value"),
        ("-", "invalid character ' ' in numeric literal"),
        ("-x", "invalid character 'x' in numeric literal"),
        (
            "1.",
            "invalid character ' ' after decimal point in numeric literal",
        ),
        (
            "1e+x",
            "invalid character 'x' in exponent of numeric literal",
        ),
        ("\"a\nb\"", r"invalid character '\n' in string literal"),
        ("\"\0\"", r"invalid character '\x00' in string literal"),
        (r#""\x""#, "invalid character 'x' in string escape code"),
        (r#""\"#, "invalid character ' ' in string escape code"),
        (
            r#""\u12g4""#,
            r"invalid character 'g' in \u hexadecimal character escape",
        ),
        (
            r"\",
            r"invalid character '\\' looking for beginning of value",
        ),
        (
            "\u{7f}",
            r"invalid character '\x7f' looking for beginning of value",
        ),
        (
            "\u{feff}{}",
            "invalid character 'ï' looking for beginning of value",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(fault::<SignupParams>(text), expected, "{text}");
    }
    assert_eq!(
        fault::<SignupParams>(b"\x85"),
        r"invalid character '\u0085' looking for beginning of value"
    );
    assert_eq!(
        fault::<SignupParams>(b"\xad"),
        r"invalid character '\u00ad' looking for beginning of value"
    );
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(
        fault::<SignupParams>(nested(10_001)),
        "invalid character '[' exceeded max depth"
    );
    assert_eq!(
        fault::<SignupParams>(format!(r#"{{"x":{}}}"#, nested(9_999))),
        "fine"
    );
    let too_deep = "data is nested deeper than 100 levels";
    assert_eq!(
        fault::<SignupParams>(format!(r#"{{"data":{{"x":{}}}}}"#, nested(9_000))),
        too_deep
    );
    assert_eq!(
        fault::<SignupParams>(format!(r#"{{"data":{{"x":{}}}}}"#, nested(100))),
        too_deep
    );
    let kept: SignupParams =
        parse(format!(r#"{{"data":{{"x":{}}}}}"#, nested(99)).as_bytes()).unwrap();
    let stored = serde_json::to_vec(&kept.data).unwrap();
    assert!(
        serde_json::from_slice::<Value>(&stored).is_ok(),
        "what is stored can be read again"
    );
}

#[test]
fn type_errors_are_gos() {
    let signup = [
        (
            "[]",
            "json: cannot unmarshal array into Go value of type api.SignupParams",
        ),
        (
            "\"x\"",
            "json: cannot unmarshal string into Go value of type api.SignupParams",
        ),
        (
            "1",
            "json: cannot unmarshal number into Go value of type api.SignupParams",
        ),
        (
            r#"{"email":1}"#,
            "json: cannot unmarshal number into Go struct field SignupParams.email of type string",
        ),
        (
            r#"{"email":{"a":1}}"#,
            "json: cannot unmarshal object into Go struct field SignupParams.email of type string",
        ),
        (
            r#"{"EMAIL":true}"#,
            "json: cannot unmarshal bool into Go struct field SignupParams.email of type string",
        ),
        (
            r#"{"data":[]}"#,
            "json: cannot unmarshal array into Go struct field SignupParams.data of type map[string]interface {}",
        ),
        (
            r#"{"data":{"a":[1e400]}}"#,
            "json: cannot unmarshal number 1e400 into Go struct field SignupParams.data of type float64",
        ),
        // The first is kept.
        (
            r#"{"password":[1],"email":1}"#,
            "json: cannot unmarshal array into Go struct field SignupParams.password of type string",
        ),
    ];
    for (text, expected) in signup {
        assert_eq!(fault::<SignupParams>(text), expected, "{text}");
    }
    let mixed = [
        (
            r#"{"gotrue_meta_security":{"captcha_token":1}}"#,
            "json: cannot unmarshal number into Go struct field CaptchaSecurity.gotrue_meta_security.captcha_token of type string",
        ),
        (
            r#"{"gotrue_meta_security":1}"#,
            "json: cannot unmarshal number into Go struct field MixedParams.gotrue_meta_security of type api.CaptchaSecurity",
        ),
        (
            r#"{"provider_id":1}"#,
            "json: cannot unmarshal number into Go struct field MixedParams.provider_id of type uuid.UUID",
        ),
        (
            r#"{"count":"x","provider_id":"abc"}"#,
            r#"uuid: incorrect UUID length 3 in string "abc""#,
        ),
        (
            r#"{"count":1.0}"#,
            "json: cannot unmarshal number 1.0 into Go struct field MixedParams.count of type int",
        ),
        (
            r#"{"domains":["a",1]}"#,
            "json: cannot unmarshal number into Go struct field MixedParams.domains of type string",
        ),
        (
            r#"{"domains":"a"}"#,
            "json: cannot unmarshal string into Go struct field MixedParams.domains of type []string",
        ),
        (
            r#"{"create_user":"true"}"#,
            "json: cannot unmarshal string into Go struct field MixedParams.create_user of type bool",
        ),
        (
            r#"{"type":5}"#,
            "json: cannot unmarshal number into Go struct field MixedParams.type of type string",
        ),
    ];
    for (text, expected) in mixed {
        assert_eq!(fault::<MixedParams>(text), expected, "{text}");
    }
}

#[test]
fn attack_075_a_list_is_no_address() {
    let expected =
        "json: cannot unmarshal array into Go struct field SignupParams.email of type string";
    assert_eq!(
        fault::<SignupParams>(r#"{"email":["a@x","b@y"]}"#),
        expected
    );
}

#[test]
fn names_and_duplicates() {
    let read = |text: &str| parse::<SignupParams>(text.as_bytes()).unwrap();
    assert_eq!(
        read(r#"{"EmaIl":"a","unknown":[{"email":"b"}]}"#).email,
        "a"
    );
    assert_eq!(read(r#"{"\u0065mail":"a"}"#).email, "a");
    assert_eq!(read(r#"{"email":"a","Email":"b"}"#).email, "b");
    assert_eq!(read(r#"{"email":"a","email":null}"#).email, "a");
    assert_eq!(
        read(r#"{"paſſword":"x"}"#).password.expose_secret(),
        "x",
        "folded as in Unicode"
    );
    assert_eq!(read("null").email, "");
    assert_eq!(
        read(r#"{"data":{"a":1},"data":{"b":2}}"#)
            .data
            .map(Value::Object),
        Some(json!({"a": 1, "b": 2}))
    );
    assert_eq!(read(r#"{"data":{"a":1},"data":null}"#).data, None);

    let mixed: MixedParams =
        parse(br#"{"type":"t","domains":["a",null],"count":-3,"current_password":""}"#).unwrap();
    assert_eq!(
        (&*mixed.kind, mixed.count, mixed.create_user),
        ("t", -3, true)
    );
    assert_eq!(mixed.domains, ["a", ""]);
    assert!(mixed.current_password.is_some(), "empty is not absent");
    let mixed: MixedParams = parse(br#"{"create_user":false,"current_password":null}"#).unwrap();
    assert!(!mixed.create_user && mixed.current_password.is_none());
    assert_eq!(mixed.provider_id, Uuid::nil());
    assert_eq!(mixed.gotrue_meta_security.captcha_token, "");
}

#[test]
fn texts_and_numbers() {
    let email = |text: &[u8]| {
        parse::<SignupParams>(&[br#"{"email":""#, text, br#""}"#].concat())
            .unwrap()
            .email
    };
    assert_eq!(
        email(br#"\"\\\/\b\f\n\r\t\u00e9"#),
        "\"\\/\u{8}\u{c}\n\r\té"
    );
    assert_eq!(email(br"\ud83d\ude00"), "😀");
    assert_eq!(
        email(br"\ud83dx\ud83d\u0041\ude00"),
        "\u{fffd}x\u{fffd}A\u{fffd}"
    );
    assert_eq!(email(b"a\xffb\xe2\x82c"), "a\u{fffd}b\u{fffd}\u{fffd}c");

    let data = parse::<SignupParams>(
        br#"{"data":{"a":1.0,"b":-0,"c":9007199254740993,"d":12345678901234567890,"e":1e21,"f":1e-7,"g":0.1,"h":1e2}}"#,
    );
    let text = crate::web::json::to_vec(&data.unwrap().data).unwrap();
    let expected = r#"{"a":1,"b":-0,"c":9007199254740992,"d":12345678901234567000,"e":1e+21,"f":1e-7,"g":0.1,"h":100}"#;
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn nul_is_for_secrets_only() {
    assert_eq!(
        fault::<SignupParams>(r#"{"email":"a\u0000b"}"#),
        "email must not contain a NUL character"
    );
    assert_eq!(
        fault::<SignupParams>(r#"{"data":{"a":["\u0000"]}}"#),
        "data must not contain a NUL character"
    );
    assert_eq!(
        fault::<SignupParams>(r#"{"data":{"\u0000":1}}"#),
        "data must not contain a NUL character"
    );
    assert_eq!(fault::<SignupParams>(r#"{"unknown":"\u0000"}"#), "fine");
    let params: SignupParams = parse(br#"{"password":"a\u0000b"}"#).unwrap();
    assert_eq!(params.password.expose_secret(), "a\0b");
    assert!(
        !format!("{params:?}").contains('b'),
        "secrets are not printed"
    );
}

proptest! {
    #[test]
    fn anything_is_answered(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse::<MixedParams>(&text);
        let _ = parse::<MixedParams>(&[br#"{"data":"#, &*text].concat());
    }

    #[test]
    fn valid_is_what_serde_json_finds_valid(text in r#"[\[\]{}":,0-9eE.+\-truefalsn \\ué]{0,24}|\{("[a-c]":([0-9.e]{1,5}|"[^"]{0,3}"|null|true|\[1\]),?){0,3}\}"#) {
        let is_valid = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        prop_assert_eq!(super::syntax::check(text.as_bytes()).is_ok(), is_valid);
    }

    #[test]
    fn metadata_comes_through(data in metadata(), spaces in "[ \n\r\t]{0,3}") {
        let text = format!(r#"{{"other":{data},{spaces}"data"{spaces}:{spaces}{{"x":{data}}}}}"#);
        let params: SignupParams = parse(text.as_bytes()).unwrap();
        prop_assert_eq!(params.data.unwrap().remove("x"), Some(data));
    }
}

fn metadata() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[^\0]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,3}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}
