//! Against a server that answers to the letter.

use chrono::DateTime;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::answer::MAX_ANSWER;
use super::*;
use crate::error::{Error, Refusal};

const SECRET: &str = "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn hook(uri: &str) -> Hook {
    let config = config::Hook {
        enabled: true,
        uri: Some(uri.into()),
        secrets: HookSecrets(vec![SECRET.into()]),
    };
    let mut hook = Hook::new("send-sms", &config).unwrap().unwrap();
    hook.patience = Patience {
        deadline: Duration::from_mins(1),
        attempts: 3,
        backoff: Duration::from_millis(1),
    };
    hook
}

async fn ask(hook: &Hook) -> Result<Map<String, Value>> {
    let now = DateTime::from_timestamp(1_614_265_330, 5).unwrap();
    let said = json!({"sms": {"otp": "123456"}});
    let ip = Some([203, 0, 113, 7].into());
    let http = Http::default();
    // To read the machine's certificates takes a while, which is not the hook's.
    http.client().unwrap();
    hook.ask(&http, &said, ip, now).await
}

/// Answers one connection after the other, then hangs up on everybody; gives the requests.
async fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/hook", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(request(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (uri, serving)
}

/// Up to the `}}` that ends what [`ask`] says.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"}}") {
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
    }
    String::from_utf8(text).unwrap()
}

fn answer(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn json_answer(body: &str) -> String {
    answer("200 OK\r\ncontent-type: application/json", body)
}

/// Status, code and message of what comes of one answer.
async fn told(text: String) -> (u16, Code, String) {
    let (uri, _serving) = serve(vec![text]).await;
    told_of(ask(&hook(&uri)).await.unwrap_err())
}

fn told_of(error: Error) -> (u16, Code, String) {
    match error {
        Error::Refused(refusal) => {
            let Refusal {
                status,
                code,
                message,
                ..
            } = *refusal;
            (status.as_u16(), code, message.into_owned())
        }
        Error::Failed(failure) => (500, Code::UnexpectedFailure, failure.message.into_owned()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_to_the_letter() {
    let (uri, serving) = serve(vec![json_answer(r#"{"decision":"continue","n":1}"#)]).await;
    let said = ask(&hook(&uri)).await.unwrap();
    assert_eq!(Value::Object(said), json!({"decision": "continue", "n": 1}));

    let requests = serving.await.unwrap();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
            .unwrap()
    };
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"));
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("accept-encoding"), "identity");
    assert_eq!(header("webhook-timestamp"), "1614265330");
    let id = header("webhook-id");
    let secret = Secret::parse(SECRET).unwrap();
    assert_eq!(
        header("webhook-signature"),
        signatures(&[secret], id, 1_614_265_330, body.as_bytes())
    );
    let body: Value = serde_json::from_str(body).unwrap();
    let metadata = &body["metadata"];
    assert_ne!(metadata["uuid"], id, "a message has an id at each attempt");
    assert_eq!(metadata["time"], "2021-02-25T15:02:10.000000005Z");
    assert_eq!(metadata["name"], "send-sms");
    assert_eq!(metadata["ip_address"], "203.0.113.7");
    assert_eq!(body["sms"], json!({"otp": "123456"}));
}

#[tokio::test]
async fn statuses() {
    for (head, message) in [
        (
            "201 Created",
            "Unexpected status code returned from hook: 201",
        ),
        (
            "301 Moved\r\nlocation: /elsewhere",
            "Unexpected status code returned from hook: 301",
        ),
        ("400 Bad Request", "Invalid payload sent to hook"),
        ("401 Unauthorized", "Hook requires authorization token"),
        (
            "403 Forbidden",
            "Unexpected status code returned from hook: 403",
        ),
        ("429 Too Many", "Service currently unavailable due to hook"),
        ("500 Oh", "Unexpected status code returned from hook: 500"),
        ("503 Away", "Service currently unavailable due to hook"),
    ] {
        let refused = told(answer(head, r#"{"error":{"message":"x"}}"#)).await;
        assert_eq!(
            refused,
            (500, Code::UnexpectedFailure, message.into()),
            "{head}"
        );
    }
    for text in [
        answer("204 No Content", ""),
        answer("202 Accepted\r\ncontent-type: application/json", "{}"),
        json_answer("null"),
    ] {
        let (uri, _serving) = serve(vec![text]).await;
        assert!(ask(&hook(&uri)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn errors_of_the_hook_are_passed_on() {
    for (said, status, code) in [
        (
            r#"{"error":{"http_code":403,"message":"no"}}"#,
            403,
            Code::Unknown,
        ),
        (
            r#"{"error":{"message":"no"}}"#,
            500,
            Code::UnexpectedFailure,
        ),
        (
            r#"{"error":{"http_code":0,"message":"no"}}"#,
            500,
            Code::UnexpectedFailure,
        ),
        (
            r#"{"error":{"http_code":200,"message":"no"}}"#,
            200,
            Code::Unknown,
        ),
        (
            r#"{"error":{"http_code":503,"message":"no"}}"#,
            503,
            Code::Unknown,
        ),
        (
            r#"{"error":{"http_code":100,"message":"no"}}"#,
            500,
            Code::UnexpectedFailure,
        ),
        (
            r#"{"Error":{"HTTP_code":403,"Message":"x","Message":"no"}}"#,
            403,
            Code::Unknown,
        ),
        (
            r#"{"error":{"http_code":-7,"message":"no"}}"#,
            500,
            Code::UnexpectedFailure,
        ),
    ] {
        assert_eq!(
            told(json_answer(said)).await,
            (status, code, "no".into()),
            "{said}"
        );
    }
    // No message, or none that can be read: no error.
    for said in [
        r#"{"error":{"http_code":403,"message":""}}"#,
        r#"{"error":{"http_code":"403","message":"no"}}"#,
        r#"{"error":"no"}"#,
        r#"{"error":null}"#,
    ] {
        let (uri, _serving) = serve(vec![json_answer(said)]).await;
        assert!(ask(&hook(&uri)).await.is_ok(), "{said}");
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    let typed =
        |content_type: &str| answer(&format!("200 OK\r\ncontent-type: {content_type}"), "{}");
    let invalid = |message: &str| (400, Code::HookPayloadInvalidContentType, message.to_owned());
    let missing = invalid("Invalid Content-Type: Missing Content-Type header");
    assert_eq!(told(answer("200 OK", "{}")).await, missing);
    assert_eq!(
        told(typed("text/html")).await,
        invalid("Invalid JSON response. Received content-type: text/html")
    );
    assert_eq!(
        told(typed(";;")).await,
        invalid("Invalid Content-Type header: mime: no media type")
    );

    let broken = (
        500,
        Code::UnexpectedFailure,
        "Error unmarshaling JSON output.".to_owned(),
    );
    for said in ["", "<html>", "[]", "\"x\"", "{\"a\":1}{}"] {
        assert_eq!(told(json_answer(said)).await, broken, "{said}");
    }
    let longest = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_ANSWER - 8));
    let (uri, _serving) = serve(vec![json_answer(&longest)]).await;
    assert!(ask(&hook(&uri)).await.is_ok());
    let message = "Payload size exceeded size limit of 204800 bytes".to_owned();
    assert_eq!(
        told(json_answer(&format!("{longest} "))).await,
        (422, Code::HookPayloadOverSizeLimit, message)
    );
}

#[tokio::test]
async fn asks_again_when_told_so_and_three_times_at_most() {
    let later = answer("503 Away\r\nretry-after: 1", "");
    let (uri, serving) = serve(vec![later.clone(), json_answer("{}")]).await;
    assert!(ask(&hook(&uri)).await.is_ok());
    let ids: Vec<String> = serving.await.unwrap();
    assert_ne!(ids[0], ids[1], "each attempt is a message of its own");

    let (uri, serving) = serve(vec![later; 3]).await;
    let (status, _, message) = told_of(ask(&hook(&uri)).await.unwrap_err());
    assert_eq!(serving.await.unwrap().len(), 3);
    assert_eq!(
        (status, message.as_str()),
        (500, "Service currently unavailable due to hook")
    );
}

#[tokio::test]
async fn nobody_listens() {
    // Bound, so that nobody else gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let uri = format!("http://{}/", socket.local_addr().unwrap());
    let message = "Failed to reach hook after maximum retries".to_owned();
    assert_eq!(
        told_of(ask(&hook(&uri)).await.unwrap_err()),
        (422, Code::HookTimeoutAfterRetry, message)
    );
    // Between attempts the deadline counts as well.
    let mut hook = hook(&uri);
    hook.patience.deadline = Duration::from_millis(400);
    hook.patience.backoff = Duration::from_mins(1);
    let (status, code, _) = told_of(ask(&hook).await.unwrap_err());
    assert_eq!((status, code), (422, Code::HookTimeout));
}

#[tokio::test]
async fn one_who_never_answers_or_never_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let message = "Failed to reach hook within maximum time of 0.400000 seconds".to_owned();
    let mut hook = hook(&uri);
    hook.patience.deadline = Duration::from_millis(400);
    assert_eq!(
        told_of(ask(&hook).await.unwrap_err()),
        (422, Code::HookTimeout, message)
    );

    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let (_silent, _) = listener.accept().await.unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        stream.write_all(endless.as_bytes()).await.unwrap();
        stream
    });
    let message = format!("Error running hook URI: {uri}");
    // The head of the answer has to come within it.
    hook.patience.deadline = Duration::from_secs(3);
    assert_eq!(
        told_of(ask(&hook).await.unwrap_err()),
        (500, Code::UnexpectedFailure, message)
    );
    serving.await.unwrap();
}

#[tokio::test]
async fn a_postgres_function_cannot_be_asked_yet() {
    let uri = "pg-functions://postgres/auth/send_sms";
    let (status, _, message) = told_of(ask(&hook(uri)).await.unwrap_err());
    assert_eq!(
        (status, message),
        (500, format!("Error running hook URI: {uri}"))
    );
}
