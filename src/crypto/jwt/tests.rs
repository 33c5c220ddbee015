use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::keys::testing::{SECRET, fresh, rsa, secret};
use super::*;

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    DateTime::from_timestamp(NOW, 999_999_000).unwrap()
}

fn hs256() -> Keys {
    Keys::from_config(SECRET, "", None, &[]).unwrap()
}

fn keys(jwks: &[Value], methods: &[&str]) -> Keys {
    let methods: Vec<String> = methods.iter().map(|&method| method.to_owned()).collect();
    Keys::from_config(SECRET, "", Some(&Value::from(jwks).to_string()), &methods).unwrap()
}

fn parts(header: &str, claims: &str) -> String {
    format!("{}.{}", B64.encode(header), B64.encode(claims))
}

/// A token over any header and claims with this HMAC key.
fn hmac(header: &str, claims: &str, key: &[u8]) -> String {
    let message = parts(header, claims);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", B64.encode(tag))
}

/// A token of the secret with these claims.
fn claiming(claims: &Value) -> String {
    hmac(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        &claims.to_string(),
        SECRET.as_bytes(),
    )
}

#[track_caller]
fn refused(keys: &Keys, token: &str) -> String {
    keys.verify(token, now()).unwrap_err().to_string()
}

#[test]
fn every_algorithm_signs_and_verifies_what_it_signed() {
    for jwk in [
        secret("s"),
        rsa("RS256"),
        rsa("RS512"),
        fresh("ES256"),
        fresh("ES512"),
        fresh("EdDSA"),
    ] {
        let keys = keys(std::slice::from_ref(&jwk), &[]);
        let token = keys.sign(&json!({ "sub": "x", "exp": NOW + 1 })).unwrap();
        let header: Value =
            serde_json::from_slice(&B64.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(
            header,
            json!({ "alg": jwk["alg"], "kid": jwk["kid"], "typ": "JWT" })
        );
        assert_eq!(keys.verify(&token, now()).unwrap().sub, "x");

        let mut forged = B64.decode(token.rsplit('.').next().unwrap()).unwrap();
        forged[7] ^= 1;
        let forged = format!(
            "{}.{}",
            token.rsplit_once('.').unwrap().0,
            B64.encode(forged)
        );
        let said = refused(&keys, &forged);
        assert!(said.starts_with("token signature is invalid: "), "{said}");
    }
}

#[test]
fn another_library_reads_our_tokens_and_we_read_its() {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
    let ours = hs256();
    let claims = json!({ "sub": "x", "exp": NOW + 1 });
    let theirs = encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .unwrap();
    assert_eq!(ours.verify(&theirs, now()).unwrap().sub, "x");
    for (jwk, alg) in [
        (rsa("RS256"), Algorithm::RS256),
        (fresh("ES256"), Algorithm::ES256),
        (fresh("EdDSA"), Algorithm::EdDSA),
    ] {
        let keys = keys(&[jwk], &[]);
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(keys.jwks()).unwrap();
        let mut validation = Validation::new(alg);
        validation.validate_exp = false;
        let token = keys.sign(&claims).unwrap();
        let read = decode::<Value>(
            &token,
            &DecodingKey::from_jwk(&set.keys[0]).unwrap(),
            &validation,
        )
        .unwrap();
        assert_eq!(read.claims, claims);
    }
}

#[test]
fn golang_jwts_es512_is_read() {
    let jwk = json!({"alg": "ES512", "crv": "P-521", "d": "AdH5wZxWI0nXlGIzFjpgvjCJmAVk8bTm4FyCc-W2iAJjXsJ1DzHXuyCOwPYYdJOuRYISCIga9A8mWSMNzSTAoG6p", "key_ops": ["sign", "verify"], "kid": "es512", "kty": "EC", "x": "APRmANqRqVROhR4ZZzgclxMG5bqT0FQn75ancegB2J1A2qenBczaTYb5AcGItsXW6VVgrILH4jiW-BDWMRYKURez", "y": "AKNcuGAfpBvoGX7qaVz0KV0lHW1ZSgoohlHFpeaLuUx_J3qYWyp1kqYPtC7MDhTyb-bf5jEzSuBh9xJ4BHNsLiaa"});
    let token = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImVzNTEyIiwidHlwIjoiSldUIn0.eyJzdWIiOiJnbyJ9.AAmrrFv_aQYtgpFeT1LwyVNnH8qbb7BL3VBn8kYHz4Kt1q499lZ5sk8kSEQDhiQeA-2MX69XefvnsiP0kgL-bErdAecAMcS5CL7l1vB4bpWnMqt0r6WGB2HJIP5gTRuf8oV0ozVTDMk_F8HoI_FWHpp-RoNfKNvrM0GOESX3B5dNUF9l";
    assert_eq!(keys(&[jwk], &[]).verify(token, now()).unwrap().sub, "go");
}

#[test]
fn an_access_token_has_gotrues_claims_in_gotrues_order() {
    let (sub, session_id) = (Uuid::nil(), Uuid::max());
    let metadata = serde_json::Map::new();
    let mut claims = Claims {
        iss: "",
        sub,
        aud: "authenticated",
        exp: NOW + 3600,
        iat: NOW,
        email: "ann@example.com",
        phone: "",
        app_metadata: &metadata,
        user_metadata: &metadata,
        role: "authenticated",
        aal: "aal1",
        amr: &[Amr {
            method: "password",
            timestamp: NOW,
            provider: None,
        }],
        session_id,
        is_anonymous: false,
        client_id: None,
        scope: None,
    };
    let written = |claims: &Claims<'_>| {
        let token = hs256().sign(claims).unwrap();
        String::from_utf8(B64.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
    };
    insta::assert_snapshot!(written(&claims), @r#"{"sub":"00000000-0000-0000-0000-000000000000","aud":"authenticated","exp":1800003600,"iat":1800000000,"email":"ann@example.com","phone":"","app_metadata":{},"user_metadata":{},"role":"authenticated","aal":"aal1","amr":[{"method":"password","timestamp":1800000000}],"session_id":"ffffffff-ffff-ffff-ffff-ffffffffffff","is_anonymous":false}"#);
    claims.iss = "https://auth.example.com";
    claims.client_id = Some(sub);
    claims.scope = Some("openid email");
    claims.amr = &[Amr {
        method: "sso/saml",
        timestamp: NOW,
        provider: Some("p"),
    }];
    insta::assert_snapshot!(written(&claims), @r#"{"iss":"https://auth.example.com","sub":"00000000-0000-0000-0000-000000000000","aud":"authenticated","exp":1800003600,"iat":1800000000,"email":"ann@example.com","phone":"","app_metadata":{},"user_metadata":{},"role":"authenticated","aal":"aal1","amr":[{"method":"sso/saml","timestamp":1800000000,"provider":"p"}],"session_id":"ffffffff-ffff-ffff-ffff-ffffffffffff","is_anonymous":false,"client_id":"00000000-0000-0000-0000-000000000000","scope":"openid email"}"#);
    assert_eq!(
        hs256()
            .verify(&hs256().sign(&claims).unwrap(), now())
            .unwrap()
            .client_id,
        sub.to_string()
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_words_are_golang_jwts() {
    let keys = hs256();
    let good = claiming(&json!({ "sub": "x" }));
    // bearer/bearer-errors.json and bearer-admin.json
    let cases = [
        (
            "x".to_owned(),
            "token is malformed: token contains an invalid number of segments",
        ),
        (
            format!("{good}.x"),
            "token is malformed: token contains an invalid number of segments",
        ),
        (
            "x.y.z".to_owned(),
            "token is malformed: could not base64 decode header: illegal base64 data at input byte 0",
        ),
        (
            format!("{good}x"),
            "token signature is invalid: signature is invalid",
        ),
        (
            claiming(&json!({ "exp": NOW })),
            "token has invalid claims: token is expired",
        ),
        (
            claiming(&json!({ "exp": 1_800_000_000.9 })),
            "token has invalid claims: token is expired",
        ),
        (
            claiming(&json!({ "nbf": NOW + 1 })),
            "token has invalid claims: token is not valid yet",
        ),
        (
            claiming(&json!({ "nbf": NOW + 1, "exp": 0 })),
            "token has invalid claims: token is expired, token is not valid yet",
        ),
        (
            hmac(r#"{"alg":"none"}"#, "{}", b""),
            "token signature is invalid: signing method none is invalid",
        ),
        (
            hmac(r#"{"alg":"HS512"}"#, "{}", b""),
            "token signature is invalid: signing method HS512 is invalid",
        ),
        (
            hmac(r#"{"alg":"hs256"}"#, "{}", b""),
            "token is unverifiable: signing method (alg) is unavailable",
        ),
        (
            hmac("{}", "{}", b""),
            "token is unverifiable: signing method (alg) is unspecified",
        ),
        (
            claiming(&json!({ "sub": 5 })),
            "token is malformed: could not JSON decode claim: json: cannot unmarshal number into Go struct field AccessTokenClaims.RegisteredClaims.sub of type string",
        ),
        (
            claiming(&json!({ "role": ["service_role"] })),
            "token is malformed: could not JSON decode claim: json: cannot unmarshal array into Go struct field AccessTokenClaims.role of type string",
        ),
        (
            claiming(&json!({ "exp": "soon" })),
            r#"token is malformed: could not JSON decode claim: could not parse NumericData: json: invalid number literal, trying to unmarshal "\"soon\"" into Number"#,
        ),
        (
            claiming(&json!({ "exp": true })),
            "token is malformed: could not JSON decode claim: could not parse NumericData: json: cannot unmarshal bool into Go value of type json.Number",
        ),
        (
            claiming(&json!({ "aud": [1] })),
            "token is malformed: could not JSON decode claim: invalid type for claim",
        ),
        (
            parts("{", "{}") + ".",
            "token is malformed: could not JSON decode header: unexpected end of JSON input",
        ),
        (
            parts(r#"{"alg":"HS256"}"#, "{") + ".",
            "token is malformed: could not JSON decode claim: unexpected end of JSON input",
        ),
        (
            parts(r#"{"alg":"HS256"}"#, "{}") + ".a=",
            "token is malformed: could not base64 decode signature: illegal base64 data at input byte 1",
        ),
    ];
    for (token, said) in cases {
        assert_eq!(refused(&keys, &token), said, "{token}");
    }
    // keys/jwks-es256.json and jwks-rs256.json
    for (alg, jwk) in [("ES256", fresh("ES256")), ("RS256", rsa("RS256"))] {
        let keys = self::keys(&[jwk], &[]);
        assert_eq!(
            refused(&keys, &good),
            "token signature is invalid: signing method HS256 is invalid"
        );
        let unknown = |header: Value| refused(&keys, &hmac(&header.to_string(), "{}", b""));
        let said = "token is unverifiable: error while executing keyfunc: unrecognized JWT kid";
        assert_eq!(
            unknown(json!({ "alg": alg, "kid": "nope" })),
            format!("{said} nope for algorithm {alg}")
        );
        assert_eq!(
            unknown(json!({ "alg": alg })),
            format!("{said} <nil> for algorithm {alg}")
        );
    }
}

#[test]
fn what_gotrue_takes_is_taken() {
    let keys = hs256();
    let takes = |claims: Value| keys.verify(&claiming(&claims), now()).unwrap();
    assert_eq!(
        *takes(json!({})),
        BearerClaims::default(),
        "nothing is required"
    );
    assert_eq!(
        takes(json!({ "exp": NOW + 1, "nbf": NOW, "iat": NOW + 5000, "iss": "x" })).exp,
        Some(NOW + 1)
    );
    assert_eq!(
        takes(json!({ "exp": (NOW + 1).to_string() })).exp,
        Some(NOW + 1)
    );
    assert_eq!(
        takes(json!({ "exp": 1e300, "nbf": -1e300 })).exp,
        Some(i64::MAX)
    );
    assert_eq!(takes(json!({ "aud": "a" })).aud, ["a"]);
    assert_eq!(takes(json!({ "aud": ["a", "b"] })).aud, ["a", "b"]);
    for amr in [
        json!(["password"]),
        json!([{ "method": "password", "timestamp": NOW }]),
        Value::Null,
    ] {
        takes(json!({ "amr": amr, "aud": null, "sub": null, "exp": null, "is_anonymous": null }));
    }
    let said = takes(
        json!({ "sub": "s", "role": "r", "session_id": "i", "aal": "aal2", "is_anonymous": true, "app_metadata": { "x": 1 } }),
    );
    assert_eq!(
        (
            &*said.sub,
            &*said.role,
            &*said.session_id,
            &*said.aal,
            said.is_anonymous
        ),
        ("s", "r", "i", "aal2", true)
    );
    // An HS256 token with a kid nobody knows falls back to the secret (internal/api/auth.go).
    let odd = hmac(
        r#"{"alg":"HS256","kid":"unknown"}"#,
        "{}",
        SECRET.as_bytes(),
    );
    keys.verify(&odd, now()).unwrap();
}

#[test]
fn kid_and_valid_methods_choose_the_key() {
    let jwks = [fresh("ES256"), {
        let mut old = rsa("RS256");
        old["key_ops"] = json!(["verify"]);
        old
    }];
    let both = keys(&jwks, &[]);
    let old = keys(&[rsa("RS256")], &[]).sign(&json!({})).unwrap();
    both.verify(&old, now()).unwrap();
    both.verify(&both.sign(&json!({})).unwrap(), now()).unwrap();
    let by_secret = claiming(&json!({}));
    assert!(
        both.verify(&by_secret, now()).is_err(),
        "secrets are out once keys are listed"
    );
    keys(&jwks, &["ES256", "HS256"])
        .verify(&by_secret, now())
        .unwrap();

    // The kid of a secret of the list, of GOTRUE_JWT_SECRET, and none.
    let jwk = secret("listed");
    let listed = URL_SAFE_NO_PAD.decode(jwk["k"].as_str().unwrap()).unwrap();
    let keys = Keys::from_config(SECRET, "named", Some(&json!([jwk]).to_string()), &[]).unwrap();
    let token = |kid: &str, key: &[u8]| {
        hmac(
            &json!({ "alg": "HS256", "kid": kid }).to_string(),
            "{}",
            key,
        )
    };
    keys.verify(&token("listed", &listed), now()).unwrap();
    keys.verify(&token("named", SECRET.as_bytes()), now())
        .unwrap();
    keys.verify(&claiming(&json!({})), now()).unwrap();
    assert!(
        keys.verify(&token("listed", SECRET.as_bytes()), now())
            .is_err()
    );
    assert!(keys.verify(&token("named", &listed), now()).is_err());
}

#[test]
fn attack_087_algorithm_none() {
    for alg in ["none", "None", "NONE", "nOnE", "", "null"] {
        for methods in [&[][..], &["HS256", "none"]] {
            let keys = keys(&[secret("s")], methods);
            for kid in ["", "s", "x"] {
                for signature in ["", "AA"] {
                    let header = json!({ "alg": alg, "kid": kid }).to_string();
                    let token = format!(
                        "{}.{signature}",
                        parts(&header, r#"{"role":"service_role"}"#)
                    );
                    assert!(keys.verify(&token, now()).is_err(), "{header} {methods:?}");
                }
            }
        }
    }
}

#[test]
fn attack_087_public_key_as_secret() {
    let jwk = rsa("RS256");
    let keys = keys(std::slice::from_ref(&jwk), &["RS256", "HS256"]);
    let n = B64.decode(jwk["n"].as_str().unwrap()).unwrap();
    let jwks = String::from_utf8(keys.jwks().to_vec()).unwrap();
    let published: Value = serde_json::from_str(&jwks).unwrap();
    let der = [
        &[0x30, 0x82, 1, 0x0a, 2, 0x82, 1, 1, 0][..],
        &n,
        &[2, 3, 1, 0, 1],
    ]
    .concat();
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(&der)
    );
    let one = published["keys"][0].to_string();
    for key in [
        &*n,
        &der,
        pem.as_bytes(),
        pem.trim().as_bytes(),
        jwks.as_bytes(),
        one.as_bytes(),
        jwk["n"].as_str().unwrap().as_bytes(),
        b"",
    ] {
        for header in [
            r#"{"alg":"HS256","kid":"rsa"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS256","kid":""}"#,
        ] {
            assert!(
                keys.verify(&hmac(header, r#"{"role":"service_role"}"#, key), now())
                    .is_err(),
                "{header}"
            );
        }
    }
    assert_eq!(
        refused(&keys, &hmac(r#"{"alg":"HS256","kid":"rsa"}"#, "{}", &der)),
        "token signature is invalid: key is of invalid type: HMAC verify expects []byte"
    );
}

#[test]
fn attack_087_algorithm_of_another_key() {
    let all = ["HS256", "RS256", "RS512", "ES256", "ES512", "EdDSA"];
    let set = [
        rsa("RS256"),
        fresh("ES256"),
        fresh("ES512"),
        fresh("EdDSA"),
        secret("s"),
    ];
    for signer in &set {
        let only: Vec<Value> = set
            .iter()
            .cloned()
            .map(|mut jwk| {
                if jwk != *signer {
                    jwk["key_ops"] = json!(["verify"]);
                }
                jwk
            })
            .collect();
        let keys = keys(&only, &all);
        let token = keys.sign(&json!({})).unwrap();
        let (_, rest) = token.split_once('.').unwrap();
        let (claims, signature) = rest.split_once('.').unwrap();
        for alg in all {
            for jwk in &set {
                let header =
                    B64.encode(json!({ "alg": alg, "kid": jwk["kid"], "typ": "JWT" }).to_string());
                let swapped = format!("{header}.{claims}.{signature}");
                let same = alg == signer["alg"] && jwk["kid"] == signer["kid"];
                assert_eq!(
                    keys.verify(&swapped, now()).is_ok(),
                    same,
                    "{alg} {}",
                    jwk["kid"]
                );
            }
        }
    }
}

#[test]
fn attack_087_kid_tricks() {
    let keys = keys(&[fresh("ES256")], &["ES256", "HS256"]);
    let long = "k".repeat(64 * 1024);
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "x' UNION SELECT 'secret",
        "https://evil.example/jwks.json",
        "es256\0",
        "\0",
        "",
        "%s%n",
        &long,
    ] {
        for alg in ["HS256", "ES256"] {
            for key in [&b""[..], b"secret", b"\0", kid.as_bytes()] {
                let header = json!({ "alg": alg, "kid": kid }).to_string();
                let said = refused(&keys, &hmac(&header, r#"{"role":"service_role"}"#, key));
                assert!(said.len() < 300, "{said}");
            }
        }
    }
    for kid in ["5", "true", "[]", "{}", r#"["es256"]"#] {
        let header = format!(r#"{{"alg":"HS256","kid":{kid}}}"#);
        assert!(
            refused(&keys, &hmac(&header, "{}", SECRET.as_bytes()))
                .starts_with("token is malformed"),
            "{header}"
        );
    }
}

#[test]
fn attack_087_keys_and_extensions_in_the_header() {
    let keys = hs256();
    let evil = fresh("ES256");
    for extra in [
        json!({ "jwk": evil }),
        json!({ "jku": "https://evil.example/" }),
        json!({ "x5u": "https://evil.example/" }),
        json!({ "x5c": ["AAAA"] }),
    ] {
        let mut header = extra.clone();
        header["alg"] = "ES256".into();
        header["kid"] = evil["kid"].clone();
        assert!(
            keys.verify(&hmac(&header.to_string(), "{}", b""), now())
                .is_err()
        );
    }
    // Even with a good signature: what must be understood is not ignored.
    for extra in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""zip":"DEF""#,
    ] {
        let header = format!(r#"{{"alg":"HS256",{extra}}}"#);
        assert!(
            refused(&keys, &hmac(&header, "{}", SECRET.as_bytes()))
                .starts_with("token is unverifiable")
        );
    }
}

#[test]
fn attack_087_one_token_has_one_spelling() {
    let keys = hs256();
    let good = claiming(&json!({ "sub": "xy" }));
    keys.verify(&good, now()).unwrap();
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    for bad in [
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}="),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}=.{signature}"),
        format!("{header}\r\n.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}\0"),
        format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")),
        format!("{header}.{claims}.{}", &signature[..42]),
    ] {
        assert!(bad == good || keys.verify(&bad, now()).is_err(), "{bad}");
    }
    // The last character of 32 bytes has two unused bits.
    let last = signature.chars().last().unwrap();
    for other in ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['-', '_'])
        .filter(|&c| c != last)
    {
        assert!(
            keys.verify(
                &format!("{header}.{claims}.{}{other}", &signature[..42]),
                now()
            )
            .is_err()
        );
    }
    for header in [
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"{"alg":"HS256"}{}"#,
        "[\"HS256\"]",
        "\"HS256\"",
        "null",
        "{\"alg\":\"HS256\",\"x\":\"\u{0}\"}",
    ] {
        assert!(
            keys.verify(&hmac(header, "{}", SECRET.as_bytes()), now())
                .is_err(),
            "{header}"
        );
    }
    for claims in [
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"role":"a","role":"service_role"}"#,
        "{} {}",
        "{}x",
        "[]",
        "null",
        "\"x\"",
        "",
    ] {
        assert!(
            keys.verify(
                &hmac(r#"{"alg":"HS256"}"#, claims, SECRET.as_bytes()),
                now()
            )
            .is_err(),
            "{claims}"
        );
    }
}

#[test]
fn attack_087_degenerate_signatures() {
    // Order of P-256 and of Ed25519's base point.
    let p256 = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let ed25519: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let zero = [0; 32];
    let mut one = [0; 32];
    one[31] = 1;

    let es = keys(&[fresh("ES256")], &[]);
    let token = es.sign(&json!({})).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = B64.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    for (r, s) in [
        (&zero, &zero),
        (&zero, &one),
        (&one, &zero),
        (&p256, &p256),
        (&p256, &one),
        (&one, &p256),
        (&one, &one),
        (&zero, &p256),
    ] {
        assert!(
            es.verify(
                &format!("{message}.{}", B64.encode([r.as_slice(), s].concat())),
                now()
            )
            .is_err()
        );
    }
    // ASN.1 in place of r|s, r|s with more bytes, and nothing at all.
    let mut asn1 = vec![0x30, 0x46, 2, 0x21, 0];
    asn1.extend(r);
    asn1.extend([2, 0x21, 0]);
    asn1.extend(s);
    for bytes in [
        asn1,
        [&[0], r, &[0], s].concat(),
        [r, s, &[0]].concat(),
        r.to_vec(),
        vec![],
    ] {
        assert!(
            es.verify(&format!("{message}.{}", B64.encode(bytes)), now())
                .is_err()
        );
    }

    let ed = keys(&[fresh("EdDSA")], &[]);
    let token = ed.sign(&json!({})).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut malleable = B64.decode(signature).unwrap();
    let mut carry = 0u16;
    for (byte, order) in malleable[32..].iter_mut().zip(ed25519) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert!(
        ed.verify(&format!("{message}.{}", B64.encode(malleable)), now())
            .is_err(),
        "s + L is not s"
    );
    assert!(
        ed.verify(&format!("{message}.{}", B64.encode([0; 64])), now())
            .is_err()
    );
}

#[test]
fn attack_087_jwe_in_place_of_jws() {
    let jwe = format!(
        "{}.AA.AA.AA.AA",
        B64.encode(r#"{"alg":"dir","enc":"A256GCM"}"#)
    );
    assert!(refused(&hs256(), &jwe).contains("segments"));
    assert!(
        hs256()
            .verify(
                &hmac(r#"{"alg":"dir","enc":"A256GCM"}"#, "{}", SECRET.as_bytes()),
                now()
            )
            .is_err()
    );
}

proptest! {
    #[test]
    fn no_text_panics(token in ".{0,200}", header in ".{0,60}", claims in ".{0,60}") {
        let keys = hs256();
        prop_assert!(keys.verify(&token, now()).is_err());
        let _ = keys.verify(&hmac(&header, &claims, SECRET.as_bytes()), now());
        let _ = keys.verify(&hmac(r#"{"alg":"HS256"}"#, &claims, SECRET.as_bytes()), now());
    }

    #[test]
    fn any_changed_byte_is_noticed(at in 0usize..1000, to in any::<u8>()) {
        let keys = hs256();
        let good = keys.sign(&json!({ "sub": "00000000-0000-0000-0000-000000000000", "role": "authenticated" })).unwrap();
        let mut bytes = good.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert_eq!(keys.verify(&changed, now()).is_ok(), changed == good);
        }
    }
}
