use serde_json::{Value, json};

use super::testing::{SECRET, fresh, rsa, secret};
use super::*;

fn keys(jwks: &[Value]) -> Result<Keys, String> {
    Keys::from_config(SECRET, "", Some(&Value::from(jwks).to_string()), &[])
}

fn published(keys: &Keys) -> Value {
    serde_json::from_slice(keys.jwks()).unwrap()
}

#[test]
fn a_secret_alone_is_enough_and_is_not_published() {
    let keys = Keys::from_config(SECRET, "", None, &[]).unwrap();
    assert_eq!(published(&keys), json!({ "keys": [] }));
    assert_eq!(keys.valid_methods, ["HS256"]);
    assert!(Keys::from_config(SECRET, "", Some("[]"), &[]).is_ok());
}

#[test]
fn the_set_shows_public_halves_only() {
    let jwks = [
        rsa("RS256"),
        fresh("ES256"),
        fresh("EdDSA"),
        secret("s"),
        fresh("ES512"),
    ];
    for signer in &jwks {
        let mut set = jwks.to_vec();
        for jwk in &mut set {
            if jwk != signer {
                jwk["key_ops"] = json!(["verify"]);
            }
        }
        let keys = keys(&set).unwrap();
        let published = published(&keys);
        assert_eq!(
            published["keys"].as_array().unwrap().len(),
            4,
            "the secret is left out"
        );
        for (shown, given) in published["keys"]
            .as_array()
            .unwrap()
            .iter()
            .zip(set.iter().filter(|jwk| jwk["kty"] != "oct"))
        {
            assert_eq!(
                (&shown["use"], &shown["key_ops"]),
                (&json!("sig"), &json!(["verify"]))
            );
            for field in ["kid", "kty", "crv", "alg", "x", "y", "n", "e"] {
                assert_eq!(shown[field], given[field]);
            }
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert_eq!(shown[private], Value::Null);
            }
        }
        let printed = format!("{keys:?}");
        for private in ["d", "k", "p"] {
            assert!(!printed.contains(signer[private].as_str().unwrap_or("\0")));
        }
    }
}

#[test]
fn short_numbers_are_padded() {
    // RFC 7518 §6.2 wants full length; some generators drop leading zeros.
    loop {
        let mut jwk = fresh("ES256");
        let d = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap()).unwrap();
        if d[0] == 0 {
            jwk["d"] = URL_SAFE_NO_PAD.encode(&d[1..]).into();
            keys(&[jwk]).unwrap();
            break;
        }
    }
}

#[test]
fn the_later_of_two_keys_with_one_kid_counts() {
    let (mut old, mut new) = (fresh("ES256"), fresh("ES512"));
    (old["kid"], new["kid"]) = ("k".into(), "k".into());
    let keys = keys(&[old, new]).unwrap();
    assert_eq!(keys.verifying.len(), 1);
    assert_eq!(keys.valid_methods, ["ES512"]);
}

#[test]
fn a_key_without_alg_follows_from_its_type() {
    for (alg, jwk) in [
        ("RS256", rsa("RS256")),
        ("ES256", fresh("ES256")),
        ("ES512", fresh("ES512")),
        ("EdDSA", fresh("EdDSA")),
    ] {
        let mut jwk = jwk;
        jwk.as_object_mut().unwrap().remove("alg");
        assert_eq!(keys(&[jwk]).unwrap().valid_methods, [alg]);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn faults_are_named_without_the_key() {
    let with = |mut jwk: Value, field: &str, value: Value| {
        jwk[field] = value;
        jwk
    };
    let mut other = fresh("ES256");
    let cases = [
        (
            vec![json!(5)],
            "GOTRUE_JWT_KEYS: key 1 is not a JSON object",
        ),
        (
            vec![with(rsa("RS256"), "key_ops", json!(["verify"]))],
            "no signing key detected",
        ),
        (
            vec![with(rsa("RS256"), "key_ops", Value::Null)],
            "no signing key detected",
        ),
        (
            vec![fresh("ES256"), fresh("ES512")],
            "multiple signing keys detected",
        ),
        (
            vec![with(rsa("RS256"), "kty", json!("EC"))],
            "do not fit together",
        ),
        (
            vec![with(rsa("RS256"), "alg", json!("ES256"))],
            "do not fit together",
        ),
        (
            vec![with(fresh("ES256"), "alg", json!("none"))],
            "do not fit together",
        ),
        (
            vec![with(fresh("ES256"), "crv", json!("secp256k1"))],
            "do not fit together",
        ),
        (
            vec![with(rsa("RS384"), "kid", json!("r"))],
            "RS384 verifies only",
        ),
        (
            vec![with(rsa("RS256"), "dp", other["d"].take())],
            "key 1 (kid \"rsa\"): n, e, d, p, q, dp, dq and qi do not fit together",
        ),
        (
            vec![with(rsa("RS256"), "qi", Value::Null)],
            "\"qi\" is missing",
        ),
        (
            vec![with(rsa("RS256"), "n", json!("AQAB"))],
            "2048 to 8192 bits",
        ),
        (
            vec![with(fresh("ES256"), "x", fresh("ES256")["x"].take())],
            "no point of the curve",
        ),
        (
            vec![with(fresh("ES256"), "d", fresh("ES256")["d"].take())],
            "not the private half",
        ),
        (
            vec![with(fresh("EdDSA"), "d", fresh("EdDSA")["d"].take())],
            "not the private half",
        ),
        (
            vec![with(fresh("ES256"), "d", json!("!"))],
            "\"d\" is not base64url",
        ),
        (
            vec![with(fresh("ES256"), "d", fresh("ES512")["d"].take())],
            "\"d\" is too long",
        ),
        (vec![with(secret("s"), "k", json!(""))], "\"k\" is empty"),
        (
            vec![with(
                rsa("RS256"),
                "aws:kms:arn",
                json!("arn:aws:kms:eu-central-1:1:key/2"),
            )],
            "AWS KMS",
        ),
    ];
    for (set, expected) in cases {
        let fault = keys(&set).unwrap_err();
        assert!(fault.contains(expected), "{fault}: expected {expected}");
        for jwk in set {
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                let value = jwk[private].as_str().unwrap_or_default();
                assert!(value.len() < 4 || !fault.contains(value), "{fault}");
            }
        }
    }
    assert!(Keys::from_config("", "", None, &[]).is_err());
    for text in [
        "",
        "{}",
        "[\"super-secret\"",
        "\"super-secret\"",
        "[\"super-secret\"]",
    ] {
        let fault = Keys::from_config(SECRET, "", Some(text), &[]).unwrap_err();
        assert!(!fault.contains("super-secret"), "{fault}");
    }
}
