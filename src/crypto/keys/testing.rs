//! Keys for tests: fresh ones of each kind, and the RSA key of GoTrue's recordings.

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Algorithm;

pub const SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

pub fn secret(kid: &str) -> Value {
    json!({ "kty": "oct", "alg": "HS256", "kid": kid, "k": URL_SAFE_NO_PAD.encode("another-secret-of-forty-characters-length"), "key_ops": ["sign", "verify"] })
}

pub fn rsa(alg: &str) -> Value {
    json!({
        "kty": "RSA", "kid": "rsa", "alg": alg, "use": "sig", "key_ops": ["sign", "verify"], "e": "AQAB",
        "n": "zbhAqZWfinhSmCTxL6ZZHM3GPB863nWJ7vA8JCOj5uQkv1dGyW2LvgVyqlmWRp6nKtjV9S5qSFkcEivUz2J8btjACmDRwJjWFlIyW53jDWPyelGYSIxcNg95eS1BR5wUlfR-QHuAXpINRoVbhF67gADMqFNIsZZwvbBZqzOxY7AYdOmgkIuchlK_GY4JzXOZOW_kP0-iwF-tuUeAB_OP2hA8uoXNzVml5d5_camy9sIpnIXj9lW6aiwVjfJEjJYVDRvqC3mFHLIRs8nOqS_ZOGIsoSWUmHSxvqZ7Y4OuxBeZu4Vle4y0e080BFFmglXE3dkZXm0S7_6wdCb8orN_RQ",
        "d": "KOfb17y8OhT922nxGXf63TrfkaHmG0kE8eGMG-WIWEeCNRfeJ_xj3peHuu7Qbl9qvx7ZwISHtrYdWlGj4c7kDkiEOywQWTsqyspyX_xPoyB-HStvW_Go_kjqbxl8EwiqoTy6BAlqt6NUB3NKBNKvdt7x0wCogkN3TIit89h2C-ujUO-oohp3FNNrFTPJmIatxxt1riItw7alt7Yr4MEwto5RYjcZN0myoEKidJMRgeA96nAg5QCKGtWBO64mYSJAeTmB_8T0fsx3Eq7stpHVxBppBEraOidQRl_kLEHaY9cvj8rxlwXKBvmllcd519VjD3dRoyps2pWfmgN3_5OGAQ",
        "p": "6hqFtGBIojSo87bOdr0phBB3X0G2XfrY2KunJS0M8tBaRW2Sj6rxtu_mfFTYc6eq2EX1LLzvmoE5heqSvFK1RpYN3c_YTNfWKNp2xUNDAlw-0Jj2sMIQp6fLlmHyhVC8ClTIx64c8RIJ6B1_OY2SXpgE4e_x7FVNf-atAuN-TkU",
        "q": "4PYYQnkGENX_9TyFtIMtEj87v3ORZKMt_YsykZYxL3R1o_8eQZMPbQgTeyW-1Cr1ppo7CeL2qJIiqOrSwcoRVi5UnfOxFmgGGV5RruosIMEzpwWLJCJswNSZmryD8CmwQp7Sg0Ndun9E85cfCHrI5vBMXIzwXtFBefPQboOf_QE",
        "dp": "GA7XtLy8WicNQdaEi0FPVeoXSmvHYQsZY9LoH3LsxLtSu5XSHP-VTZaD2j0h7WjKruUpmApmmTs0fSWpJL9fL7zV-fiVIvh_Yr1ovUb3SPPP5MIDgBDBg2lEC9VPBhJQ8MLby2GCSefvqrH1VCXPZ_c5cTqmYwI1L7K2DvjwDv0",
        "dq": "2sI1YR6zKVgQ6XeLRbhx8daP0WMetdCA_peH-08kUVNcurdxwq6xR4Oc_hn8cfG8o-BDHSAaYF6LWdvQSyamqTmwi1DYmkNZ-v1fTUrm0otOIVMgtWjMfM_A91nuq3K-tmofqAmwcZUlhgMk6GgOSZTPjQh5DptKor7Xp0BUKgE",
        "qi": "fO-148Ff11YRPjodt9HNu4IZanPa7F4QfMDt_o4NK8OEP9GN6AbG8GtV-0fI3bkhLFkQkCuZsw2cqhjJGQ1WGyzC4QKZzb9LQkYBbi7tXLzyI7tsSSj144rJixXDx3AMvYRc4CNd_6p6XHBH1Mtwyzk71PjgeKDG7jdYaJ9rFpg",
    })
}

/// A fresh key for ES256, ES512 or `EdDSA`.
pub fn fresh(alg: &str) -> Value {
    let common = |kty: &str, crv: &str, x: &[u8], d: &[u8]| {
        json!({ "kty": kty, "crv": crv, "kid": alg.to_lowercase(), "alg": alg, "key_ops": ["sign", "verify"],
                "x": URL_SAFE_NO_PAD.encode(x), "d": URL_SAFE_NO_PAD.encode(d) })
    };
    let ec = |crv: &str, scheme: &'static EcdsaSigningAlgorithm| {
        let pair = EcdsaKeyPair::generate(scheme).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
        let d: aws_lc_rs::encoding::EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
        let mut jwk = common("EC", crv, x, d.as_ref());
        jwk["y"] = URL_SAFE_NO_PAD.encode(y).into();
        jwk
    };
    match Algorithm::parse(alg) {
        Some(algorithm @ Algorithm::Es256) => ec("P-256", algorithm.ecdsa_signing().unwrap()),
        Some(algorithm @ Algorithm::Es512) => ec("P-521", algorithm.ecdsa_signing().unwrap()),
        _ => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let seed: aws_lc_rs::encoding::Curve25519SeedBin<'_> =
                pair.seed().unwrap().as_be_bytes().unwrap();
            common("OKP", "Ed25519", pair.public_key().as_ref(), seed.as_ref())
        }
    }
}
