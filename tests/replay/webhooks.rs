//! Whether a request to a hook is signed as the Standard Webhooks say.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truegate::clock::Timestamp;

use super::standin::Received;

/// How far a request's time may be from the server's clock, in seconds.
const TOLERANCE: i64 = 15;

/// True when the request is signed now, with each of these secrets (`v1,whsec_..|..`) and in their order.
pub fn is_signed(request: &Received, secrets: &str, now: Timestamp) -> bool {
    let header = |name: &str| request.headers.get(name)?.to_str().ok();
    let (Some(id), Some(time), Some(signature)) = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    ) else {
        return false;
    };
    let is_now = |time: i64| (time - now.timestamp()).abs() <= TOLERANCE;
    let message = [format!("{id}.{time}.").as_bytes(), &request.body].concat();
    let expected: Vec<String> = secrets
        .split('|')
        .map(|secret| sign(secret, &message))
        .collect();
    time.parse().is_ok_and(is_now) && signature == expected.join(", ")
}

fn sign(secret: &str, message: &[u8]) -> String {
    let key = secret.strip_prefix("v1,whsec_").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, message)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    /// The example of the Standard Webhooks' own libraries.
    #[test]
    fn a_signature_is_of_its_id_time_and_body() {
        let secret = "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let mut request = Received {
            method: "POST".into(),
            path: "/".into(),
            query: None,
            headers,
            body: Bytes::from_static(br#"{"test": 2432232314}"#),
        };
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        assert!(is_signed(&request, secret, at(1_614_265_330)));
        assert!(!is_signed(&request, secret, at(1_614_265_346)), "late");
        let two = format!("{secret}|{secret}");
        assert!(!is_signed(&request, &two, at(1_614_265_330)), "one of two");
        request.body = Bytes::from_static(b"{}");
        assert!(
            !is_signed(&request, secret, at(1_614_265_330)),
            "another body"
        );
    }
}
