//! One JWK of `GOTRUE_JWT_KEYS` (RFC 7517, RFC 7518 §6, RFC 8037), made ready for use.

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeyPairComponents;
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Algorithm, Signing, Verifying};

/// Some generators leave the unused last bits set.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// A key, prepared. Its private half was read only if it signs.
pub(super) struct Jwk {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) verifying: Verifying,
    /// Present when `key_ops` has `sign`.
    pub(super) signing: Option<Signing>,
    /// What `/.well-known/jwks.json` shows; nothing for a secret.
    pub(super) public: Option<Value>,
}

impl Jwk {
    /// `GOTRUE_JWT_SECRET` as a key that signs.
    pub(super) fn secret(secret: &[u8], kid: &str) -> Self {
        let key = Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret));
        Self {
            kid: kid.to_owned(),
            algorithm: Algorithm::Hs256,
            verifying: Verifying::Hmac(key.clone()),
            signing: Some(Signing::Hmac(key)),
            public: None,
        }
    }

    /// Reads the key at `place` (from 1) of the array.
    pub(super) fn parse(place: usize, value: &Value) -> Result<Self, String> {
        let Value::Object(map) = value else {
            return Err(format!("GOTRUE_JWT_KEYS: key {place} is not a JSON object"));
        };
        let fields = Fields { place, map };
        if map.contains_key("aws:kms:arn") {
            return Err(fields.fault("signing through AWS KMS is not supported"));
        }
        let algorithm = fields.algorithm()?;
        let kid = fields.text("kid").unwrap_or_default().to_owned();
        let signs = map
            .get("key_ops")
            .and_then(Value::as_array)
            .is_some_and(|ops| ops.iter().any(|op| op == "sign"));
        let (verifying, signing) = match (algorithm.rsa(), algorithm.curve()) {
            (Some(_), _) => fields.rsa(algorithm, signs)?,
            (None, Some(_)) => fields.curve(algorithm, signs)?,
            (None, None) => {
                let secret = fields.bytes("k")?;
                if secret.is_empty() {
                    return Err(fields.fault("\"k\" is empty"));
                }
                let Self {
                    verifying, signing, ..
                } = Self::secret(&secret, &kid);
                (verifying, signing.filter(|_| signs))
            }
        };
        let public = fields.public(algorithm);
        Ok(Self {
            kid,
            algorithm,
            verifying,
            signing,
            public,
        })
    }
}

struct Fields<'a> {
    place: usize,
    map: &'a Map<String, Value>,
}

impl Fields<'_> {
    /// Names the key and what is wrong with it; `what` never holds a value of it.
    fn fault(&self, what: &str) -> String {
        match self.text("kid") {
            Some(kid) => format!("GOTRUE_JWT_KEYS: key {} (kid {kid:?}): {what}", self.place),
            None => format!("GOTRUE_JWT_KEYS: key {}: {what}", self.place),
        }
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.map.get(field)?.as_str()
    }

    fn algorithm(&self) -> Result<Algorithm, String> {
        let kty = self
            .text("kty")
            .ok_or_else(|| self.fault("\"kty\" is missing"))?;
        let crv = self.text("crv");
        let algorithm = match (kty, crv, self.text("alg")) {
            // GoTrue signs with HS256 whatever the secret's alg says (GetSigningAlg).
            ("oct", ..) => Some(Algorithm::Hs256),
            ("RSA", _, None) => Some(Algorithm::Rs256),
            ("EC", Some("P-256"), None) => Some(Algorithm::Es256),
            ("EC", Some("P-384"), None) => Some(Algorithm::Es384),
            ("EC", Some("P-521"), None) => Some(Algorithm::Es512),
            ("OKP", Some("Ed25519"), None) => Some(Algorithm::EdDsa),
            (_, _, Some(alg)) => Algorithm::parse(alg).filter(|algorithm| {
                let (needs_kty, needs_crv) = algorithm.key_type();
                needs_kty == kty && (needs_crv.is_none() || needs_crv == crv)
            }),
            _ => None,
        };
        algorithm.ok_or_else(|| {
            self.fault(
                "\"kty\", \"crv\" and \"alg\" do not fit together: an oct key signs HS256, RSA RS256 or RS512, \
                 EC P-256 ES256, EC P-521 ES512, OKP Ed25519 EdDSA",
            )
        })
    }

    /// The bytes of a base64url field; standard base64 and padding are taken too, as GoTrue's library does.
    fn bytes(&self, field: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let text = self
            .text(field)
            .ok_or_else(|| self.fault(&format!("{field:?} is missing")))?;
        let text = Zeroizing::new(
            text.trim_end_matches('=')
                .replace('+', "-")
                .replace('/', "_"),
        );
        LENIENT
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| self.fault(&format!("{field:?} is not base64url")))
    }

    /// A big-endian number without its leading zeros.
    fn number(&self, field: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let bytes = self.bytes(field)?;
        Ok(Zeroizing::new(
            bytes
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect(),
        ))
    }

    /// A big-endian number in exactly `length` bytes.
    fn fixed(&self, field: &str, length: usize) -> Result<Zeroizing<Vec<u8>>, String> {
        let number = self.number(field)?;
        let zeros = length
            .checked_sub(number.len())
            .ok_or_else(|| self.fault(&format!("{field:?} is too long")))?;
        let mut fixed = Zeroizing::new(vec![0; length]);
        fixed
            .iter_mut()
            .skip(zeros)
            .zip(number.iter())
            .for_each(|(to, from)| *to = *from);
        Ok(fixed)
    }

    fn rsa(
        &self,
        algorithm: Algorithm,
        signs: bool,
    ) -> Result<(Verifying, Option<Signing>), String> {
        let public_key = RsaPublicKeyComponents {
            n: self.number("n")?.to_vec(),
            e: self.number("e")?.to_vec(),
        };
        if !(256..=1024).contains(&public_key.n.len()) {
            return Err(self.fault("an RSA key has 2048 to 8192 bits"));
        }
        let verifying = algorithm
            .rsa()
            .and_then(|parameters| public_key.to_parsed_public_key(parameters).ok())
            .map(Verifying::Public)
            .ok_or_else(|| self.fault("n and e are no RSA public key"))?;
        if !signs {
            return Ok((verifying, None));
        }
        let encoding = algorithm
            .rsa_signing()
            .ok_or_else(|| self.verifies_only(algorithm))?;
        let components = KeyPairComponents {
            public_key: RsaPublicKeyComponents {
                n: Zeroizing::new(public_key.n),
                e: Zeroizing::new(public_key.e),
            },
            d: self.bytes("d")?,
            p: self.bytes("p")?,
            q: self.bytes("q")?,
            dP: self.bytes("dp")?,
            dQ: self.bytes("dq")?,
            qInv: self.bytes("qi")?,
        };
        RsaKeyPair::from_components(&components)
            .map(|pair| (verifying, Some(Signing::Rsa(pair, encoding))))
            .map_err(|_| self.fault("n, e, d, p, q, dp, dq and qi do not fit together"))
    }

    fn curve(
        &self,
        algorithm: Algorithm,
        signs: bool,
    ) -> Result<(Verifying, Option<Signing>), String> {
        let (scheme, length) = algorithm.curve().ok_or_else(|| self.fault("no curve"))?;
        let public = if algorithm == Algorithm::EdDsa {
            self.bytes("x")?
        } else {
            let (x, y) = (self.fixed("x", length)?, self.fixed("y", length)?);
            Zeroizing::new([&[4], x.as_slice(), y.as_slice()].concat())
        };
        let verifying = ParsedPublicKey::new(scheme, &*public)
            .map(Verifying::Public)
            .map_err(|_| self.fault("x and y are no point of the curve"))?;
        if !signs {
            return Ok((verifying, None));
        }
        let signing = match algorithm.ecdsa_signing() {
            Some(scheme) => EcdsaKeyPair::from_private_key_and_public_key(
                scheme,
                &self.fixed("d", length)?,
                &public,
            )
            .map(Signing::Ecdsa),
            None if algorithm == Algorithm::EdDsa => {
                Ed25519KeyPair::from_seed_and_public_key(&self.bytes("d")?, &public)
                    .map(Signing::Ed25519)
            }
            None => return Err(self.verifies_only(algorithm)),
        };
        let signing =
            signing.map_err(|_| self.fault("\"d\" is not the private half of \"x\" and \"y\""))?;
        Ok((verifying, Some(signing)))
    }

    fn verifies_only(&self, algorithm: Algorithm) -> String {
        self.fault(&format!(
            "{} verifies only; HS256, RS256, RS512, ES256, ES512 and EdDSA sign",
            algorithm.as_str()
        ))
    }

    /// The fields that may be seen: named one by one, so that a private one can never slip through.
    fn public(&self, algorithm: Algorithm) -> Option<Value> {
        let (kty, _) = algorithm.key_type();
        if kty == "oct" {
            return None;
        }
        let mut public =
            json!({ "alg": algorithm.as_str(), "key_ops": ["verify"], "kty": kty, "use": "sig" });
        if let Value::Object(public) = &mut public {
            for field in ["crv", "e", "kid", "n", "x", "y"] {
                if let Some(value) = self.text(field) {
                    public.insert(field.to_owned(), value.into());
                }
            }
        }
        Some(public)
    }
}
