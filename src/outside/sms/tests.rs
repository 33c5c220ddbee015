//! Each provider against a server on this machine that looks at every byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const PHONE: &str = "15551234567";

/// The settings of every provider, with one chosen.
fn config(provider: &str, more: &[(&str, &str)]) -> Config {
    let pairs = [
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("DATABASE_URL", "postgres://localhost/x"),
        (
            "GOTRUE_JWT_SECRET",
            "super-secret-jwt-token-with-at-least-32-characters-long",
        ),
        ("GOTRUE_SMS_PROVIDER", provider),
        ("GOTRUE_SMS_TWILIO_ACCOUNT_SID", "AC00"),
        ("GOTRUE_SMS_TWILIO_AUTH_TOKEN", "token"),
        ("GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID", "MG00"),
        ("GOTRUE_SMS_TWILIO_VERIFY_ACCOUNT_SID", "AC01"),
        ("GOTRUE_SMS_TWILIO_VERIFY_AUTH_TOKEN", "token"),
        ("GOTRUE_SMS_TWILIO_VERIFY_MESSAGE_SERVICE_SID", "VA01"),
        ("GOTRUE_SMS_MESSAGEBIRD_ACCESS_KEY", "key"),
        ("GOTRUE_SMS_MESSAGEBIRD_ORIGINATOR", "Acme"),
        ("GOTRUE_SMS_TEXTLOCAL_API_KEY", "key"),
        ("GOTRUE_SMS_TEXTLOCAL_SENDER", "Acme & Co"),
        ("GOTRUE_SMS_VONAGE_API_KEY", "key"),
        ("GOTRUE_SMS_VONAGE_API_SECRET", "secret"),
        ("GOTRUE_SMS_VONAGE_FROM", "Acme"),
    ];
    let mut all: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
    all.extend(more.iter().copied());
    Config::from_pairs(all).unwrap()
}

/// A provider that gives one answer; its address, and the request as it came but for what any client adds.
async fn provider(answer: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (status, body) = answer.split_once(' ').unwrap();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        loop {
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.unwrap().parse::<usize>().unwrap() {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        let any = ["accept: ", "user-agent: ", "host: ", "content-length: "];
        let lines = text
            .lines()
            .filter(|line| !any.iter().any(|any| line.starts_with(any)));
        lines.collect::<Vec<_>>().join("\n")
    });
    (base, serving)
}

/// Sends a code through a provider that gives this answer; the request, and what came of it.
async fn sent(
    name: &str,
    more: &[(&str, &str)],
    channel: &str,
    answer: &str,
) -> (String, Result<(), String>) {
    let (base, serving) = provider(answer).await;
    let mut config = config(name, more);
    config.sms.api_base = Some(base);
    let sms = Sms::new(&config, Http::default()).unwrap();
    let sent = sms.send(PHONE, "123456", channel).await;
    (serving.await.unwrap(), sent.map_err(words))
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Refused(why) => why,
        other => format!("{other:?}"),
    }
}

/// The words that refuse, given this answer.
async fn refusal(name: &str, answer: &str) -> String {
    sent(name, &[], "sms", answer).await.1.unwrap_err()
}

#[tokio::test]
async fn twilio() {
    let accepted = r#"201 {"sid":"SM1","status":"queued","error_code":null}"#;
    let (request, came) = sent("twilio", &[], "sms", accepted).await;
    insta::assert_snapshot!(request, @r"
    POST /2010-04-01/Accounts/AC00/Messages.json HTTP/1.1
    content-type: application/x-www-form-urlencoded
    authorization: Basic QUMwMDp0b2tlbg==

    Body=Your+code+is+123456&Channel=sms&From=MG00&To=%2B15551234567
    ");
    assert_eq!(came, Ok(()));

    // WhatsApp names the channel in both numbers, but not in a service's name.
    let (request, _) = sent("twilio", &[], "whatsapp", accepted).await;
    assert!(request.ends_with(
        "Body=Your+code+is+123456&Channel=whatsapp&From=MG00&To=whatsapp%3A%2B15551234567"
    ));
    let number = [
        ("GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID", "+1 555 0000"),
        ("GOTRUE_SMS_TWILIO_CONTENT_SID", "HX1"),
    ];
    let (request, _) = sent("twilio", &number, "whatsapp", accepted).await;
    assert!(request.ends_with(
        "Channel=whatsapp&ContentSid=HX1&ContentVariables=%7B%221%22%3A+%22123456%22%7D\
         &From=whatsapp%3A%2B1+555+0000&To=whatsapp%3A%2B15551234567"
    ));

    for (answer, why) in [
        (
            r#"400 {"code":21211,"message":"No such number.","more_info":"https://twilio.com/21211","status":400}"#,
            "No such number. More information: https://twilio.com/21211",
        ),
        (
            r#"200 {"sid":"SM1","status":"failed","error_code":30003,"error_message":"unreachable"}"#,
            "twilio error: unreachable 30003 for message SM1",
        ),
        ("502 <html>", "the provider's answer is not understood"),
    ] {
        assert_eq!(refusal("twilio", answer).await, why);
    }
    let endless = format!("200 {}", "x".repeat(MAX_ANSWER + 1));
    assert_eq!(
        refusal("twilio", &endless).await,
        "the provider's answer is too long"
    );
}

#[tokio::test]
async fn twilio_verify() {
    let (request, came) = sent("twilio_verify", &[], "whatsapp", r#"201 {"sid":"VE1"}"#).await;
    insta::assert_snapshot!(request, @r"
    POST /v2/Services/VA01/Verifications HTTP/1.1
    content-type: application/x-www-form-urlencoded
    authorization: Basic QUMwMTp0b2tlbg==

    Channel=whatsapp&To=%2B15551234567
    ");
    assert_eq!(came, Ok(()));
    let failure = r#"429 {"message":"Slow down.","more_info":"m"}"#;
    assert_eq!(
        refusal("twilio_verify", failure).await,
        "Slow down. More information: m"
    );

    for (answer, came) in [
        (r#"200 {"status":"approved","valid":true}"#, Ok(())),
        (
            r#"200 {"status":"pending","valid":false}"#,
            Err("twilio verification error:  pending"),
        ),
        (
            r#"200 {"status":"approved","valid":"true"}"#,
            Err("twilio verification error:  approved"),
        ),
        (
            r#"404 {"message":"Gone.","more_info":"m"}"#,
            Err("Gone. More information: m"),
        ),
    ] {
        let (base, serving) = provider(answer).await;
        let mut config = config("twilio_verify", &[]);
        config.sms.api_base = Some(base);
        let sms = Sms::new(&config, Http::default()).unwrap();
        assert!(sms.checks_codes());
        let checked = sms.check(PHONE, "12 34").await.map_err(words);
        assert_eq!(checked, came.map_err(str::to_owned));
        let request = serving.await.unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(request, @r"
            POST /v2/Services/VA01/VerificationCheck HTTP/1.1
            content-type: application/x-www-form-urlencoded
            authorization: Basic QUMwMTp0b2tlbg==

            Code=12+34&To=%2B15551234567
            ");
        }
    }
}

#[tokio::test]
async fn messagebird() {
    let accepted = r#"201 {"id":"1","recipients":{"totalSentCount":1}}"#;
    let (request, came) = sent("messagebird", &[], "sms", accepted).await;
    insta::assert_snapshot!(request, @r"
    POST /messages HTTP/1.1
    content-type: application/x-www-form-urlencoded
    authorization: AccessKey key

    body=Your+code+is+123456&datacoding=unicode&originator=Acme&recipients=15551234567&type=sms
    ");
    assert_eq!(came, Ok(()));
    for (answer, why) in [
        (
            r#"422 {"errors":[{"code":9,"description":"no recipient","parameter":"x"}]}"#,
            "no recipient",
        ),
        (r#"401 {"errors":[]}"#, ""),
        (
            r#"200 {"id":"1","recipients":{"totalSentCount":0}}"#,
            "messagebird error: total sent count is 0",
        ),
        (r"500 {}", "messagebird error: total sent count is 0"),
        ("500 oh", "the provider's answer is not understood"),
    ] {
        assert_eq!(refusal("messagebird", answer).await, why);
    }
}

#[tokio::test]
async fn textlocal() {
    let (request, came) = sent("textlocal", &[], "sms", r#"200 {"status":"success"}"#).await;
    insta::assert_snapshot!(request, @r"
    POST /send HTTP/1.1
    content-type: application/x-www-form-urlencoded

    apikey=key&message=Your+code+is+123456&numbers=15551234567&sender=Acme+%26+Co
    ");
    assert_eq!(came, Ok(()));
    for (answer, why) in [
        (
            r#"200 {"status":"failure","errors":[{"code":3,"message":"Bad key"}],"messages":[{"id":"7"}]}"#,
            "textlocal error: Bad key (code: 3) message 7",
        ),
        (
            r#"200 {"status":"failure","errors":[{"code":80,"message":"Bad template"}]}"#,
            "textlocal error: Bad template (code: 80) template message: Your code is 123456",
        ),
        (
            r#"200 {"status":"failure"}"#,
            "textlocal error:  (code: 0) message ",
        ),
    ] {
        assert_eq!(refusal("textlocal", answer).await, why);
    }
}

#[tokio::test]
async fn vonage() {
    let accepted = r#"200 {"messages":[{"message-id":"1","status":"0"}]}"#;
    let (request, came) = sent("vonage", &[], "sms", accepted).await;
    insta::assert_snapshot!(request, @r"
    POST /sms/json HTTP/1.1
    content-type: application/x-www-form-urlencoded

    api_key=key&api_secret=secret&from=Acme&text=Your+code+is+123456&to=15551234567
    ");
    assert_eq!(came, Ok(()));
    let template = [("GOTRUE_SMS_TEMPLATE", "Grüße: {{ .Code }}")];
    let (request, _) = sent("vonage", &template, "sms", accepted).await;
    assert!(request.ends_with("&text=Gr%C3%BC%C3%9Fe%3A+123456&to=15551234567&type=unicode"));
    for (answer, why) in [
        (
            r#"200 {"messages":[{"message-id":"1","status":"4","error-text":"Bad key"}]}"#,
            "vonage error: Bad key (status: 4) for message 1",
        ),
        (r#"200 {"messages":[]}"#, "vonage error: Internal Error"),
    ] {
        assert_eq!(refusal("vonage", answer).await, why);
    }
}

/// Sends through the provider of our own settings.
async fn posted(more: &[(&str, &str)], answer: &str) -> (String, Result<(), String>) {
    let (base, serving) = provider(answer).await;
    let url = format!("{base}/sms?to=all");
    let mut settings = vec![("TRUEGATE_SMS_HTTP_URL", url.as_str())];
    settings.extend(more);
    let sms = Sms::new(&config("http", &settings), Http::default()).unwrap();
    let sent = sms.send(PHONE, "123456", "sms").await;
    (serving.await.unwrap(), sent.map_err(words))
}

#[tokio::test]
async fn anybody_by_http() {
    let headers = (
        "TRUEGATE_SMS_HTTP_HEADERS",
        r#"{"Authorization":["Bearer x"],"X-From":["Acme"]}"#,
    );
    let template = ("GOTRUE_SMS_TEMPLATE", "\"Acme\" & Co:\n{{ .Code }}");
    let (request, came) = posted(&[headers, template], "202 ").await;
    insta::assert_snapshot!(request, @r#"
    POST /sms?to=all HTTP/1.1
    authorization: Bearer x
    x-from: Acme
    content-type: application/json

    {"phone":"+15551234567","message":"\"Acme\" & Co:\n123456","code":"123456"}
    "#);
    assert_eq!(came, Ok(()));

    let form = (
        "TRUEGATE_SMS_HTTP_HEADERS",
        r#"{"content-type":["application/x-www-form-urlencoded"]}"#,
    );
    let body = (
        "TRUEGATE_SMS_HTTP_BODY",
        "to={{ .Phone }}&text={{ .Message }}",
    );
    let (request, came) = posted(&[form, template, body], "500 oh").await;
    assert!(request.ends_with("\nto=15551234567&text=%22Acme%22+%26+Co%3A%0A123456"));
    assert_eq!(came, Err("the provider answered 500".into()));
    // Redirects are not followed.
    assert_eq!(
        posted(&[], "302 ").await.1,
        Err("the provider answered 302".into())
    );
}

#[tokio::test]
async fn nobody_answers_within_the_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config("vonage", &[]);
    config.sms.api_base = Some(format!("http://{}", listener.local_addr().unwrap()));
    let manners = crate::outside::Manners {
        timeout: std::time::Duration::from_millis(50),
        ..Default::default()
    };
    let sms = Sms::new(&config, Http::new(manners)).unwrap();
    let sent = sms.send(PHONE, "1", "sms").await.map_err(words);
    assert_eq!(sent, Err("the provider cannot be reached".into()));
}

#[tokio::test]
async fn a_provider_that_lacks_settings_fails_when_it_is_needed() {
    for (provider, missing, why) in [
        (
            "twilio",
            "GOTRUE_SMS_TWILIO_ACCOUNT_SID",
            "missing Twilio account SID",
        ),
        (
            "twilio",
            "GOTRUE_SMS_TWILIO_AUTH_TOKEN",
            "missing Twilio auth token",
        ),
        (
            "twilio_verify",
            "GOTRUE_SMS_TWILIO_VERIFY_MESSAGE_SERVICE_SID",
            "missing Twilio message service SID or Twilio phone number",
        ),
        (
            "messagebird",
            "GOTRUE_SMS_MESSAGEBIRD_ORIGINATOR",
            "missing Messagebird originator",
        ),
        (
            "textlocal",
            "GOTRUE_SMS_TEXTLOCAL_SENDER",
            "missing Textlocal sender",
        ),
        (
            "vonage",
            "GOTRUE_SMS_VONAGE_FROM",
            "missing Vonage 'from' parameter",
        ),
        (
            "pigeon",
            "GOTRUE_SMS_VONAGE_FROM",
            "sms Provider pigeon could not be found",
        ),
    ] {
        let sms = Sms::new(&config(provider, &[(missing, "")]), Http::default()).unwrap();
        let Err(Failure::Unfit(found)) = sms.send(PHONE, "1", "sms").await else {
            panic!("{provider} without {missing}");
        };
        assert_eq!(found, why);
    }
    let none = Sms::new(&config("", &[]), Http::default()).unwrap();
    assert!(!none.is_on());
}

#[test]
fn what_can_never_be_sent_stops_the_start() {
    let started = |provider: &str, more: &[(&str, &str)]| {
        let sms = Sms::new(&config(provider, more), Http::default());
        sms.map(drop).map_err(|error| format!("{error:#}"))
    };
    let broken = [("GOTRUE_SMS_TEMPLATE", "{{ .Code")];
    let told = started("twilio", &broken).unwrap_err();
    assert!(told.starts_with("GOTRUE_SMS_TEMPLATE: line 1: "), "{told}");
    // Nobody needs it.
    assert_eq!(started("", &broken), Ok(()));
    assert_eq!(
        started("vonage", &[("GOTRUE_SMS_TEMPLATE", "{{ .Token }}")]).unwrap_err(),
        "GOTRUE_SMS_TEMPLATE: there is nothing but .Code"
    );

    let url = ("TRUEGATE_SMS_HTTP_URL", "https://sms.example.com");
    for (more, told) in [
        (
            vec![],
            "TRUEGATE_SMS_HTTP_URL is required with GOTRUE_SMS_PROVIDER=http",
        ),
        (
            vec![url, ("TRUEGATE_SMS_HTTP_BODY", "{{ .Text }}")],
            "TRUEGATE_SMS_HTTP_BODY: there is nothing but .Phone, .Message and .Code",
        ),
        (
            vec![url, ("TRUEGATE_SMS_HTTP_BODY", "text={{ .Message }}")],
            "TRUEGATE_SMS_HTTP_BODY: a body made of it is no JSON, as its Content-Type says: expected ident at line 1 column 2",
        ),
        (
            vec![
                url,
                ("TRUEGATE_SMS_HTTP_HEADERS", "{\"X-Key\":[\"hush\\n\"]}"),
            ],
            "TRUEGATE_SMS_HTTP_HEADERS: x-key: its value is no header's",
        ),
    ] {
        assert_eq!(started("http", &more).unwrap_err(), told);
    }
}
