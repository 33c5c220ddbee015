//! A small SMTP server (RFC 5321) that delivers nothing: every mail lands in the dev inbox.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::mail::Envelope;
use super::mailbox::Mailbox;

/// The longest mail, told to clients in the SIZE extension (RFC 1870).
const MAX_MAIL: usize = 10 << 20;
/// The longest command line: AUTH lines may be longer than all others (RFC 4954 §4).
const MAX_LINE: usize = 12_288;
/// More recipients than this are refused (RFC 5321 §4.5.3.1.8 asks for 100 at least).
const MAX_RECIPIENTS: usize = 1000;
/// How many clients may talk at once; more wait.
const MAX_CLIENTS: usize = 64;
/// How long a client may be silent (RFC 5321 §4.5.3.2.7).
const PATIENCE: Duration = Duration::from_mins(5);

/// Receives mails until the future is dropped.
pub async fn run(listener: TcpListener, mailbox: Arc<Mailbox>) {
    let seats = Arc::new(Semaphore::new(MAX_CLIENTS));
    let mut clients = tokio::task::JoinSet::new();
    while let Ok(seat) = seats.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let mailbox = mailbox.clone();
                clients.spawn(async move {
                    // A client that hangs up in the middle is that client's business.
                    let _ = converse(stream, &mailbox).await;
                    drop(seat);
                });
            }
            Err(error) => tracing::warn!(%error, "the mail sink cannot accept a connection"),
        }
        while clients.try_join_next().is_some() {}
    }
}

/// A line of the client, without its end.
enum Line {
    Text(String),
    TooLong,
    End,
}

/// What one client may still say, and has said.
struct Dialogue<'a, S> {
    stream: BufReader<S>,
    mailbox: &'a Mailbox,
    greeted: bool,
    /// Set by MAIL.
    envelope: Option<Envelope>,
}

/// Talks SMTP with one client.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mailbox: &Mailbox,
) -> std::io::Result<()> {
    let mut dialogue = Dialogue {
        stream: BufReader::new(stream),
        mailbox,
        greeted: false,
        envelope: None,
    };
    dialogue.reply("220 truegate ESMTP dev inbox").await?;
    loop {
        let line = match dialogue.line().await? {
            Line::Text(line) => line,
            Line::TooLong => {
                dialogue.reply("500 5.5.2 Line too long").await?;
                continue;
            }
            Line::End => return Ok(()),
        };
        let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let argument = argument.trim();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                (dialogue.greeted, dialogue.envelope) = (true, None);
                let size = format!("250-SIZE {MAX_MAIL}");
                let lines = [
                    "250-truegate",
                    "250-PIPELINING",
                    "250-8BITMIME",
                    "250-SMTPUTF8",
                    &size,
                    "250 AUTH PLAIN LOGIN",
                ];
                dialogue.reply(&lines.join("\r\n")).await?;
            }
            "HELO" => {
                (dialogue.greeted, dialogue.envelope) = (true, None);
                dialogue.reply("250 truegate").await?;
            }
            "AUTH" => dialogue.auth(argument).await?,
            "MAIL" => dialogue.mail(argument).await?,
            "RCPT" => dialogue.rcpt(argument).await?,
            "DATA" => {
                if !dialogue.data().await? {
                    return Ok(());
                }
            }
            "RSET" => {
                dialogue.envelope = None;
                dialogue.reply("250 2.0.0 Ok").await?;
            }
            "NOOP" => dialogue.reply("250 2.0.0 Ok").await?,
            "VRFY" => dialogue.reply("252 2.1.5 Send a mail and see").await?,
            "QUIT" => return dialogue.reply("221 2.0.0 Bye").await,
            _ => dialogue.reply("500 5.5.1 Command not known here").await?,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<'_, S> {
    async fn reply(&mut self, text: &str) -> std::io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        stream.flush().await
    }

    async fn line(&mut self) -> std::io::Result<Line> {
        let mut line = Vec::new();
        self.read_line(&mut line, MAX_LINE).await?;
        if line.is_empty() {
            return Ok(Line::End);
        }
        if !line.ends_with(b"\n") {
            while !line.is_empty() && !line.ends_with(b"\n") {
                line.clear();
                self.read_line(&mut line, MAX_LINE).await?;
            }
            return Ok(Line::TooLong);
        }
        Ok(Line::Text(
            String::from_utf8_lossy(&line)
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
        ))
    }

    /// Appends up to the next line feed, the end, or `limit` bytes.
    async fn read_line(&mut self, line: &mut Vec<u8>, limit: usize) -> std::io::Result<()> {
        let mut limited = (&mut self.stream).take(limit as u64);
        timeout(PATIENCE, limited.read_until(b'\n', line))
            .await
            .map_err(|_| std::io::ErrorKind::TimedOut)??;
        Ok(())
    }

    /// Any name and password will do.
    async fn auth(&mut self, argument: &str) -> std::io::Result<()> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let questions: &[&str] = match (mechanism.to_ascii_uppercase().as_str(), initial.is_empty())
        {
            ("PLAIN", false) => &[],
            ("PLAIN", true) => &["334 "],
            ("LOGIN", true) => &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
            ("LOGIN", false) => &["334 UGFzc3dvcmQ6"],
            _ => return self.reply("504 5.5.4 Mechanism not known here").await,
        };
        let mut answers = vec![initial.to_owned()];
        for question in questions {
            self.reply(question).await?;
            match self.line().await? {
                Line::Text(answer) if answer == "*" => {
                    return self.reply("501 5.7.0 Cancelled").await;
                }
                Line::Text(answer) => answers.push(answer),
                Line::TooLong => return self.reply("500 5.5.2 Line too long").await,
                Line::End => return Ok(()),
            }
        }
        let encoded = |text: &String| {
            text == "="
                || base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .is_ok()
        };
        if answers.iter().all(encoded) {
            self.reply("235 2.7.0 Welcome").await
        } else {
            self.reply("501 5.5.2 Not base64").await
        }
    }

    async fn mail(&mut self, argument: &str) -> std::io::Result<()> {
        if !self.greeted || self.envelope.is_some() {
            return self.reply("503 5.5.1 Not now").await;
        }
        let Some((from, parameters)) = path(argument, "FROM:") else {
            return self.reply("501 5.5.4 Say MAIL FROM:<address>").await;
        };
        let announced = parameters
            .to_ascii_uppercase()
            .split(' ')
            .find_map(|word| word.strip_prefix("SIZE=")?.parse().ok());
        if announced.is_some_and(|size: usize| size > MAX_MAIL) {
            return self.reply("552 5.3.4 Mail too big").await;
        }
        self.envelope = Some(Envelope {
            from: from.to_owned(),
            to: Vec::new(),
        });
        self.reply("250 2.1.0 Ok").await
    }

    async fn rcpt(&mut self, argument: &str) -> std::io::Result<()> {
        let answer = match (&mut self.envelope, path(argument, "TO:")) {
            (None, _) => "503 5.5.1 MAIL first",
            (_, None | Some(("", _))) => "501 5.5.4 Say RCPT TO:<address>",
            (Some(envelope), _) if envelope.to.len() >= MAX_RECIPIENTS => {
                "452 4.5.3 Too many recipients"
            }
            (Some(envelope), Some((to, _))) => {
                envelope.to.push(to.to_owned());
                "250 2.1.5 Ok"
            }
        };
        self.reply(answer).await
    }

    /// `false`: the client is gone.
    async fn data(&mut self) -> std::io::Result<bool> {
        let Some(envelope) = self.envelope.take_if(|envelope| !envelope.to.is_empty()) else {
            self.reply("503 5.5.1 RCPT first").await?;
            return Ok(true);
        };
        self.reply("354 End with a line that is a single dot")
            .await?;
        let mut mail = Vec::new();
        let mut too_big = false;
        let mut line = Vec::new();
        // Only CR LF ends a line here, so that `LF . LF` inside a mail ends nothing (RFC 5321 §4.1.1.4).
        let mut at_line_start = true;
        loop {
            line.clear();
            self.read_line(&mut line, MAX_LINE).await?;
            if line.is_empty() {
                return Ok(false);
            }
            if at_line_start && line == b".\r\n" {
                break;
            }
            // A dot was put before each line that begins with one (RFC 5321 §4.5.2).
            let content = if at_line_start {
                line.strip_prefix(b".").unwrap_or(&line)
            } else {
                &line
            };
            at_line_start = line.ends_with(b"\r\n");
            too_big |= mail.len() + content.len() > MAX_MAIL;
            if !too_big {
                mail.extend_from_slice(content);
            }
        }
        if too_big {
            self.reply("552 5.3.4 Mail too big").await?;
        } else {
            self.mailbox.put(&envelope, mail);
            self.reply("250 2.0.0 Kept in the dev inbox").await?;
        }
        Ok(true)
    }
}

/// `FROM:<alice@example.com> SIZE=100`: the address and the parameters behind it.
fn path<'a>(argument: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (given, rest) = argument.split_at_checked(keyword.len())?;
    if !given.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let (address, parameters) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some((address, parameters.trim()))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::clock::SystemClock;

    /// Says all of `client` at once; returns what the server answered, and the box.
    async fn say(client: &[u8]) -> (String, Mailbox) {
        let mailbox = Mailbox::new(Arc::new(SystemClock));
        let (mut ours, theirs) = duplex(1 << 25);
        ours.write_all(client).await.unwrap();
        ours.shutdown().await.unwrap();
        converse(theirs, &mailbox).await.unwrap();
        let mut answers = String::new();
        ours.read_to_string(&mut answers).await.unwrap();
        (answers, mailbox)
    }

    fn codes(answers: &str) -> Vec<&str> {
        let last_lines = answers
            .lines()
            .filter(|line| line.as_bytes().get(3) == Some(&b' '));
        last_lines.map(|line| &line[..3]).collect()
    }

    #[tokio::test]
    async fn keeps_a_mail_and_unstuffs_its_dots() {
        let (answers, mailbox) = say(
            b"EHLO me\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@example.com> SIZE=10 BODY=8BITMIME SMTPUTF8\r\nrcpt to: <b@example.com>\r\nDATA\r\n\
              Subject: dots\r\n\r\n..one\r\nnot the end:\n.\n..\r\n.\r\nQUIT\r\n",
        )
        .await;
        assert_eq!(
            codes(&answers),
            ["220", "250", "235", "250", "250", "354", "250", "221"],
            "{answers}"
        );
        let kept = mailbox.find("latest").unwrap();
        assert_eq!(
            kept.mail.raw,
            b"Subject: dots\r\n\r\n.one\r\nnot the end:\n.\n..\r\n"
        );
        assert_eq!(kept.mail.head.bcc[0].address, "b@example.com");
    }

    #[tokio::test]
    async fn refuses_what_comes_in_the_wrong_order_or_form() {
        let (answers, mailbox) = say(
            b"MAIL FROM:<a@b>\r\nEHLO me\r\nRCPT TO:<a@b>\r\nDATA\r\nMAIL TO:<a@b>\r\nMAIL FROM:a@b\r\nMAIL FROM:<> SIZE=99999999\r\nMAIL FROM:<>\r\n\
              MAIL FROM:<>\r\nRCPT TO:<>\r\nDATA\r\nRSET\r\nNOOP\r\nSTARTTLS\r\nAUTH CRAM-MD5\r\nAUTH LOGIN\r\n*\r\nAUTH LOGIN\r\nYQ==\r\n!\r\nVRFY x\r\n",
        )
        .await;
        assert_eq!(
            codes(&answers),
            [
                "220", "503", "250", "503", "503", "501", "501", "552", "250", "503", "501", "503",
                "250", "250", "500", "504", "334", "501", "334", "334", "501", "252"
            ],
            "{answers}"
        );
        assert!(mailbox.all().is_empty());
    }

    #[tokio::test]
    async fn survives_lines_and_mails_without_end() {
        let mut client = b"EHLO me\r\n".to_vec();
        client.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE));
        client.extend_from_slice(b"\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n");
        client.extend(std::iter::repeat_n(b'x', MAX_MAIL + 1));
        client.extend_from_slice(
            b"\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nSubject: cut off",
        );
        let (answers, mailbox) = say(&client).await;
        assert_eq!(
            codes(&answers),
            [
                "220", "250", "500", "250", "250", "354", "552", "250", "250", "354"
            ],
            "{answers}"
        );
        assert!(mailbox.all().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_client_says_each_line_is_answered_in_form(
            client in "((EHLO x|MAIL FROM:<|RCPT TO:<|a@b>|DATA|AUTH (PLAIN|LOGIN)|RSET|\\.|é|\u{0}| |[a-z]{0,9})(\r\n|\n|\r|)){0,30}"
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let (answers, _) = runtime.block_on(say(client.as_bytes()));
            for line in answers.split_terminator("\r\n") {
                let code = line.get(..3).and_then(|code| code.parse().ok());
                proptest::prop_assert!(code.is_some_and(|code: u16| (200..600).contains(&code)), "{line:?}");
            }
        }
    }
}
